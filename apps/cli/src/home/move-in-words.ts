/** Where a home is that has moved there. */
export function placeInWords(to: 'remote' | 'local'): string {
  return to === 'remote' ? 'in the cloud' : 'at its gateway';
}
