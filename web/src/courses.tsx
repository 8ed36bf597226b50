/** Pace, pausing, pitch and level of what is measured so far: the sum of each, and its course. */

import { Chart, type Point } from "./chart";

/** One second as the store keeps it (db/series.py); null where there was nothing to measure. */
export interface Second {
  t_s: number;
  rate_wpm: number | null; // null everywhere until words are recognised
  articulation_syl_s: number | null;
  pause_share: number | null;
  f0_median_hz: number | null;
  level_dbfs: number | null;
}

/** All that was heard so far, in numbers: fields of LiveMetrics. */
export type Sums = Omit<Second, "t_s">;

const WINDOW_S = 10; // a pace over less is a matter of single words
const FEWEST = 5; // seconds with a value in it
const STEP_S = 2;

type Pick = (second: Second) => number | null;

function windows(seconds: readonly Second[], pick: Pick): Point[] {
  const points: Point[] = [];
  for (let end = WINDOW_S; end <= seconds.length; end += STEP_S) {
    const values = seconds.slice(end - WINDOW_S, end).flatMap((second) => pick(second) ?? []);
    const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
    points.push({ atS: (seconds[end - WINDOW_S]?.t_s ?? 0) + WINDOW_S / 2, value: values.length < FEWEST ? null : mean });
  }
  return points;
}

export function Courses({ seconds, sums, toS }: { seconds: readonly Second[]; sums: Sums | null; toS: number }) {
  const percent = (share: number | null | undefined) => (share == null ? null : 100 * share);
  const each = (pick: Pick): Point[] => seconds.map((second) => ({ atS: second.t_s + 0.5, value: pick(second) }));
  const paced = seconds.some((second) => second.rate_wpm !== null)
    ? { unit: "words/min", sum: sums?.rate_wpm, digits: 0, least: 20, points: windows(seconds, (s) => s.rate_wpm) }
    : { unit: "syllables/s", sum: sums?.articulation_syl_s, digits: 1, least: 0.5, points: windows(seconds, (s) => s.articulation_syl_s) };
  return (
    <div class="courses">
      <Chart label="Pace" {...paced} toS={toS} />
      <Chart label="Pausing" unit="%" sum={percent(sums?.pause_share)} points={windows(seconds, (s) => percent(s.pause_share))} least={10} toS={toS} />
      <Chart label="Pitch" unit="Hz" sum={sums?.f0_median_hz} points={each((s) => s.f0_median_hz)} least={10} toS={toS} />
      <Chart label="Level" unit="dBFS" sum={sums?.level_dbfs} points={each((s) => s.level_dbfs)} least={3} digits={1} toS={toS} />
    </div>
  );
}
