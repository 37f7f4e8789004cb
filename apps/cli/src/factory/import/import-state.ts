import { writeFileAtomically } from '@mqtt2go/pki';
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { readFile, rm } from 'node:fs/promises';
import { z } from 'zod';

const stateFile = z.object({
  /** SHA-256 of the file and of the platform's CA: another file, or another platform, starts anew. */
  key: z.string(),
  /** All lines up to this one are dealt with. */
  line: z.int().min(0),
  imported: z.int().min(0),
  rejected: z.int().min(0),
});
export type ImportState = z.infer<typeof stateFile>;

/** How far the import of a file has come, in a file beside it. */
export class ImportStateFile {
  readonly path: string;
  readonly #key: string;

  private constructor(path: string, key: string) {
    this.path = path;
    this.#key = key;
  }

  static async open(file: string, platformCa: string): Promise<ImportStateFile> {
    const hash = createHash('sha256').update(platformCa);
    for await (const chunk of createReadStream(file)) hash.update(z.instanceof(Buffer).parse(chunk));
    return new ImportStateFile(`${file}.import-state.json`, hash.digest('hex'));
  }

  /** Where an interrupted import of the very same file into the same platform ended. */
  async read(): Promise<ImportState | undefined> {
    try {
      const state = stateFile.parse(JSON.parse(await readFile(this.path, 'utf8')));
      return state.key === this.#key ? state : undefined;
    } catch {
      return undefined;
    }
  }

  write(state: Omit<ImportState, 'key'>): Promise<void> {
    return writeFileAtomically(this.path, `${JSON.stringify({ key: this.#key, ...state })}\n`, 0o644);
  }

  remove(): Promise<void> {
    return rm(this.path, { force: true });
  }
}
