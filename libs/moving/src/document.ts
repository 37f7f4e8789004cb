import { homeStandingNames, moveStateNames } from '@mqtt2go/protocol';
import { moveRule } from './moves.js';
import { standingRule } from './standings.js';

/** The part of docs/moving.md that is drawn from the tables that run. */
export function movingTables(): string {
  const arrows = moveStateNames.flatMap((name) =>
    Object.entries(moveRule(name).on).map(([event, target]) => `  ${id(name)} --> ${id(target)}: ${event}`),
  );
  const ends = moveStateNames.filter((name) => !moveRule(name).open).map((name) => `  ${id(name)} --> [*]`);
  return [
    ['```mermaid', 'stateDiagram-v2', '  [*] --> requested', ...arrows, ...ends, '```'].join('\n'),
    table(
      ['state of the move', 'what happens', 'can be undone'],
      moveStateNames.map((name) => {
        const { about, canFail } = moveRule(name);
        return [`\`${name}\``, about, canFail ? 'yes' : 'no'];
      }),
    ),
    table(
      ['standing of a home on one side', 'what it means', 'takes changes', 'its broker serves'],
      homeStandingNames.map((name) => {
        const { about, acceptsChanges, serves } = standingRule(name);
        return [`\`${name}\``, about, acceptsChanges ? 'yes' : 'no', serves];
      }),
    ),
  ].join('\n\n');
}

/** Mermaid takes no dash in a state's name. */
function id(state: string): string {
  return state.replaceAll('-', '_');
}

function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]): string => `| ${cells.join(' | ')} |`;
  return [line(head), line(head.map(() => '---')), ...rows.map(line)].join('\n');
}
