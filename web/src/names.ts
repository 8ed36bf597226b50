/** What the report calls its measures, and how it prints them. */

import { printed } from "./format";
import entries from "./generated/measures.json";

interface Entry {
  label: string;
  says: string;
  digits?: number;
  percent?: boolean;
  key?: boolean;
}

export const ENTRIES: Record<string, Entry> = entries;
const UNKNOWN: Entry = { label: "", says: "" };

/** Of a measure by its name in docs/metrics.md; one this page does not know keeps that name. */
export function measureName(measure: string): { label: string; print: (value: number) => string } {
  const { label, digits = 1, percent = false } = ENTRIES[measure] ?? UNKNOWN;
  const print = (value: number) => (percent ? `${printed(100 * value, digits)} %` : printed(value, digits));
  return { label: label || measure, print };
}
