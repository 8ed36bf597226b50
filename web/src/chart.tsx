/** One quantity: its sum, and its course as a line in a box of 1000 by 100, drawn like the courses of the report. */

import { clock, printed } from "./format";

export interface Point {
  atS: number;
  value: number | null; // null: too little speech, a gap in the line
}

interface Props {
  label: string;
  unit: string;
  sum: number | null | undefined; // over all that was heard
  points: readonly Point[];
  toS: number;
  least: number; // the smallest half height, in the unit, so that a steady voice draws a steady line
  digits?: number;
}

export function Chart({ label, unit, sum, points, toS, least, digits = 0 }: Props) {
  const values = points.flatMap((point) => (point.value === null ? [] : [point.value]));
  const low = Math.min(...values);
  const high = Math.max(...values);
  const half = Math.max((high - low) / 2, least);
  const range = values.length ? `${printed(low, digits)} to ${printed(high, digits)} ${unit}` : "";

  const strokes: string[] = [];
  let open = false;
  for (const { atS, value } of points) {
    if (value === null) {
      open = false;
      continue;
    }
    const x = (1000 * atS) / Math.max(toS, 1e-3);
    const y = 50 - (42 * (value - (low + high) / 2)) / half;
    strokes.push(`${open ? "L" : "M"}${x.toFixed(1)} ${y.toFixed(1)}${open ? "" : "h.1"}`);
    open = true;
  }
  return (
    <figure>
      <figcaption>
        <b>{label}</b> <span>{range}</span>
      </figcaption>
      <p class="sum">
        {sum == null ? "–" : printed(sum, digits)}
        <span class="unit">{unit}</span>
      </p>
      <svg class="course" viewBox="0 0 1000 100" preserveAspectRatio="none" role="img" aria-label={`${label} over time${range && `, ${range}`}`}>
        <path d={strokes.join("")} vector-effect="non-scaling-stroke" />
      </svg>
      <p class="ends">
        <span>{clock(0)}</span>
        <span>{clock(toS)}</span>
      </p>
    </figure>
  );
}
