import { onboardingStateNames } from '@mqtt2go/protocol';
import { activationWindowMs, namingWindowMs, redeliveryMs } from './deadlines.js';
import { onboardingEventNames, onboardingStates, ruleOf } from './states.js';

/** The machine as a page of the docs: a Mermaid diagram and its tables, drawn from the table that runs. */
export function onboardingDocument(): string {
  return [
    '# The onboarding of a device',
    '<!-- Generated from libs/onboarding/src/states.ts; UPDATE_DOCS=1 npx vitest run libs/onboarding rewrites it. -->',
    'Each transition is one compare-and-set in the database. An event that finds its work done changes nothing and is',
    'answered as it was the first time; one that does not fit is refused.',
    '',
    diagram(),
    '## States',
    table(
      ['state', 'what it means', 'deadline', 'work owed', 'may hold'],
      onboardingStateNames.map((name) => {
        const rule = ruleOf(name);
        return [`\`${name}\``, rule.about, windowName(rule.window), rule.work ?? '', rule.mayHold.join(', ')];
      }),
    ),
    `The activation window is ${minutes(activationWindowMs)} minutes from the request, which the same request starts`,
    `anew. A device at its home's broker waits ${minutes(namingWindowMs) / 60} hours for its name. A request that comes`,
    `again within ${redeliveryMs / 1000} seconds is the same one, delivered twice.`,
    '',
    '## Events',
    table(['event', 'from', 'to', 'changes nothing in'], onboardingEventNames.flatMap(eventRows)),
    '## What a transition sets off',
    table(
      ['transition', 'in the same transaction, carried out afterwards until it has succeeded'],
      [
        [
          'to `awaiting-name`',
          'the entry at the Discovery server is withdrawn; the network that a gateway opened is closed',
        ],
        ['`awaiting-name`, restarted', 'the device is announced again, for the case that it has lost everything'],
        ['to `active`', 'the certificate is settled as completed: a key that the platform made is destroyed'],
        [
          'to `expired`, `refused`, `cancelled`',
          'whatever the state may hold is taken back: certificate revoked, admission and announcement withdrawn, network closed',
        ],
      ],
    ),
  ].join('\n');
}

function diagram(): string {
  const lines = ['```mermaid', 'stateDiagram-v2', '  direction TB', '  [*] --> requested'];
  for (const name of onboardingStateNames) {
    const byTarget = new Map<string, string[]>();
    for (const [event, target] of Object.entries(ruleOf(name).on)) {
      byTarget.set(target, [...(byTarget.get(target) ?? []), event]);
    }
    for (const [target, events] of byTarget) lines.push(`  ${id(name)} --> ${id(target)}: ${events.join(', ')}`);
    if (!onboardingStates[name].open) lines.push(`  ${id(name)} --> [*]`);
  }
  return [...lines, '```', ''].join('\n');
}

/** Mermaid takes no dash in a state's name. */
function id(state: string): string {
  return state.replaceAll('-', '_');
}

function eventRows(event: (typeof onboardingEventNames)[number]): string[][] {
  const repeats = onboardingStateNames.filter((name) => ruleOf(name).repeats.includes(event));
  const byTarget = new Map<string, string[]>();
  for (const name of onboardingStateNames) {
    const target = ruleOf(name).on[event];
    if (target) byTarget.set(target, [...(byTarget.get(target) ?? []), name]);
  }
  return [...byTarget].map(([target, from], index) => [
    `\`${event}\``,
    codes(from),
    `\`${target}\``,
    index === 0 ? codes(repeats) : '',
  ]);
}

function codes(names: readonly string[]): string {
  return names.map((name) => `\`${name}\``).join(', ');
}

function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]): string => `| ${cells.join(' | ')} |`;
  return [line(head), line(head.map(() => '---')), ...rows.map(line), ''].join('\n');
}

function windowName(window: 'activation' | 'naming' | undefined): string {
  return window ? `${window} window` : '';
}

function minutes(ms: number): number {
  return ms / 60_000;
}
