/** The live numbers as they are printed, the same in every view. */

import { clock, lasted, printed } from "../format";
import pace from "../generated/pace.json";
import type { LiveStore, Metrics } from "./store";

export const DASH = "–"; // too little speech to tell
export const QUIET_DBFS = -46; // below it the microphone is too far away; speech/cues.py asks to speak up at -50

const as = (value: number | null | undefined, digits = 0, factor = 1) => (value == null ? DASH : printed(value * factor, digits));

export const paceOf = (metrics: Metrics | null) => as(metrics?.rate_wpm);
export const levelOf = (metrics: Metrics | null) => as(metrics?.level_dbfs);
export const fillersOf = (metrics: Metrics | null) => as(metrics?.fillers_per_min, 1);
export const pausesOf = (metrics: Metrics | null) => as(metrics?.pause_share, 0, 100);
export const timeOf = (store: LiveStore) => clock(store.tMs / 1000);

/** Where a pace lies; empty where it is comfortable or unknown. */
export function paceWord(metrics: Metrics | null): string {
  const wpm = metrics?.rate_wpm ?? null;
  return wpm === null ? "" : wpm > pace.high ? "fast" : wpm < pace.low ? "slow" : "";
}

export function levelWord(metrics: Metrics | null): string {
  return metrics?.level_dbfs != null && metrics.level_dbfs < QUIET_DBFS ? "quiet" : "";
}

/** What of the sound or of the work on it is missing, in words; empty when all is well. */
export function amiss(store: LiveStore): string {
  const { last10 } = store;
  if (!last10 || store.over) return "";
  const lost = last10.lost_share >= 0.005 ? `${printed(100 * last10.lost_share, 0)} % of the last 10 s of sound did not arrive.` : "";
  const degraded = last10.degraded ? `The server is busy: ${last10.degraded}.` : "";
  return [lost, degraded].filter(Boolean).join(" ");
}

/** The rows of the table of all numbers: name, unit, and how a window tells it. */
export const ROWS: readonly { name: string; unit: string; of: (metrics: Metrics | null) => string }[] = [
  { name: "Pace", unit: "words/min", of: paceOf },
  { name: "Articulation", unit: "syllables/s", of: (metrics) => as(metrics?.articulation_syl_s, 1) },
  { name: "Pauses", unit: "% of the time", of: pausesOf },
  { name: "Longest pause", unit: "", of: (metrics) => (metrics?.longest_pause_s == null ? DASH : lasted(metrics.longest_pause_s)) },
  { name: "Fillers", unit: "per minute", of: fillersOf },
  { name: "Pitch", unit: "Hz, median", of: (metrics) => as(metrics?.f0_median_hz) },
  { name: "Melody", unit: "semitones", of: (metrics) => as(metrics?.f0_sd_st, 1) },
  { name: "Loudness", unit: "dBFS", of: levelOf },
];
