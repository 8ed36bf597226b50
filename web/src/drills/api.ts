/** Drills as the server tells them: api/messages.py says what these shapes mean. */

import { call } from "../api";

export interface Planned {
  drill: string;
  title: string;
  passes: number;
  due_on: string;
  state: "overdue" | "due" | "later";
}

export interface Rule {
  measure: string;
  title: string;
  low: number | null;
  high: number | null;
}

export interface Clip {
  start_s: number;
  end_s: number;
  text: string;
  ums: [number, number][];
}

export interface Material {
  clips?: Clip[];
  excerpt?: string;
  phrases?: { start_s: number; end_s: number; text: string }[];
  title?: string; // of a contrast
  words?: string[];
  pairs?: [string, string][];
}

export interface Drill {
  id: string;
  title: string;
  goal: string;
  steps: string[];
  watch: Watch;
  speaks: "topic" | "passage" | "phrase" | "pairs" | "sentences";
  usual_s: number;
  most_s: number;
  measured: string;
  rules: Rule[];
  evidence: { grade: string; says: string; source: string };
  planned: Planned | null;
  why: string | null;
  source: string | null;
  material: Material | null;
  voices: number;
}

export type Watch = "fillers" | "marks" | "clock" | "lights" | "phrase" | "targets";

export interface Condition {
  measure: string;
  value: number | null;
  unit: string;
  low: number | null;
  high: number | null;
  limit_low: number | null;
  limit_high: number | null;
  met: boolean | null;
  sure: boolean;
}

export interface Result {
  passed: boolean | null;
  missing: string | null;
  conditions: Condition[];
}

export interface Attempt {
  session: string;
  drill: string;
  title: string;
  goal: string;
  watch: Watch;
  state: string;
  text: string;
  reads: boolean;
  seconds: number;
  pace_wpm: number | null;
  light_st: number | null;
  phrase: { url: string; start_s: number; end_s: number | null } | null;
  rules: Rule[];
  live: Result | null;
  settled: Result | null;
  planned: Planned | null;
}

export interface Notes {
  plays_s: number[];
  identified: number;
  heard: number;
}

export const drillsAt = "/v1/drills";
export const attemptAt = (session: string) => `/v1/sessions/${session}/drill`;
export const planOf = () => call<{ today: string; planned: Planned[] }>("GET", "/v1/plan");
