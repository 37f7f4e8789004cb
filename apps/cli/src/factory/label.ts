import { buildLabel, type DeviceLabel } from '@mqtt2go/protocol';
import { toBuffer, toString } from 'qrcode';

/** The label's QR code as a PNG, large enough to be printed and scanned. */
export function labelPng(label: DeviceLabel): Promise<Buffer> {
  return toBuffer(buildLabel(label), { type: 'png', errorCorrectionLevel: 'M', margin: 4, scale: 8 });
}

/** The same for a terminal: half blocks, dark on light whatever the terminal's colours if `colors`, 39 columns or so. */
export function labelText(label: DeviceLabel, colors: boolean): Promise<string> {
  const content = buildLabel(label);
  return colors
    ? toString(content, { type: 'terminal', small: true, errorCorrectionLevel: 'L' })
    : toString(content, { type: 'utf8', errorCorrectionLevel: 'L', margin: 2 });
}
