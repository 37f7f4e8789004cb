import { PrintableString, Set as SetOf, Utf8String } from 'asn1js';
import { type Encoded, encoded, oid, sequence } from './asn1.js';

/** The subject attributes that the platform writes, in the order in which they stand in a name. */
export interface SubjectName {
  readonly organization?: string;
  readonly organizationalUnit?: string;
  readonly commonName?: string;
  /** 802.1AR: the device's serial number. A PrintableString, so left out where the alphabet does not fit. */
  readonly serialNumber?: string;
}

const organization = oid('2.5.4.10');
const organizationalUnit = oid('2.5.4.11');
const commonName = oid('2.5.4.3');
const serialNumber = oid('2.5.4.5');
const printable = /^[A-Za-z0-9 '()+,\-./:=?]{1,64}$/;

/** A Name, one attribute per RDN. */
export function encodeName(name: SubjectName): Encoded {
  const rdns: SetOf[] = [];
  const add = (type: Encoded, value: Utf8String | PrintableString) =>
    rdns.push(new SetOf({ value: [sequence(type, value)] }));
  if (name.organization !== undefined) add(organization, new Utf8String({ value: name.organization }));
  if (name.organizationalUnit !== undefined)
    add(organizationalUnit, new Utf8String({ value: name.organizationalUnit }));
  if (name.commonName !== undefined) add(commonName, new Utf8String({ value: name.commonName }));
  if (hasSerialNumber(name)) add(serialNumber, new PrintableString({ value: name.serialNumber }));
  return encoded(sequence(...rdns));
}

/** The Name as RFC 2253 writes it, the last attribute first. @param name nothing in it that would have to be escaped */
export function writeName(name: SubjectName): string {
  return [
    ...(hasSerialNumber(name) ? [`serialNumber=${name.serialNumber}`] : []),
    ...(name.commonName === undefined ? [] : [`CN=${name.commonName}`]),
    ...(name.organizationalUnit === undefined ? [] : [`OU=${name.organizationalUnit}`]),
    ...(name.organization === undefined ? [] : [`O=${name.organization}`]),
  ].join(',');
}

function hasSerialNumber(name: SubjectName): name is SubjectName & { readonly serialNumber: string } {
  return name.serialNumber !== undefined && printable.test(name.serialNumber);
}
