import { type Der, oid, printableString, sequence, setOf, utf8String } from './der.js';

/** The subject attributes that the platform writes, in the order in which they stand in a name. */
export interface SubjectName {
  readonly organization?: string;
  readonly organizationalUnit?: string;
  readonly commonName: string;
  /** 802.1AR: the device's serial number. A PrintableString, so left out where the alphabet does not fit. */
  readonly serialNumber?: string;
}

const organization = oid('2.5.4.10');
const organizationalUnit = oid('2.5.4.11');
const commonName = oid('2.5.4.3');
const serialNumber = oid('2.5.4.5');
const printable = /^[A-Za-z0-9 '()+,\-./:=?]{1,64}$/;

/** DER Name, one attribute per RDN. */
export function nameDer(name: SubjectName): Der {
  const rdns: Der[] = [];
  const add = (type: Der, value: Der) => rdns.push(setOf(sequence(type, value)));
  if (name.organization !== undefined) add(organization, utf8String(name.organization));
  if (name.organizationalUnit !== undefined) add(organizationalUnit, utf8String(name.organizationalUnit));
  add(commonName, utf8String(name.commonName));
  if (name.serialNumber !== undefined && printable.test(name.serialNumber)) {
    add(serialNumber, printableString(name.serialNumber));
  }
  return sequence(...rdns);
}
