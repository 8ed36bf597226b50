/** The REST API as the pages use it: api/messages.py says what these shapes mean. */

export type SessionState = "created" | "live" | "processing" | "complete" | "failed" | "cancelled" | "deleting";
export type StepState = "queued" | "running" | "done" | "parked" | "cancelled";

export interface Step {
  step: string;
  state: StepState;
  attempt: number;
  error: { code: string; sentence: string } | null;
  queued_at: string | null;
  started_at: string | null;
  finished_at: string | null;
}

export interface Session {
  id: string;
  title: string;
  state: SessionState;
  speaker?: Speaker;
  script?: string | null; // the text that is read in it
  masked?: boolean; // names, numbers and e-mail addresses are hidden
  interrupted?: boolean; // a live session that ended without its speaker
  created_at: string;
  duration_s?: number;
  language?: string;
  problem?: string;
  media?: { filename: string | null; size: number | null; complete: boolean };
  steps?: Step[];
  progress?: { done: number; total: number; step?: string; stage?: string; fraction?: number };
  upload?: Upload;
}

export interface Link {
  url: string;
  method: string;
  headers: Record<string, string>;
}

export interface Upload {
  size: number;
  complete?: boolean;
  put?: Link; // all of it at once
  upload_id?: string; // by parts
  parts?: (Link & { number: number; offset: number; size: number })[];
  there?: { number: number; size: number }[];
}

export interface Word {
  text: string;
  start_s: number;
  kind: "word" | "filler" | "fragment";
}

export interface Measure {
  value: number | null;
  unit: string;
  low: number | null;
  high: number | null;
  why_missing: string | null;
}

/** 0 to 100 with its interval, or why there is none. */
export interface Given {
  value: number | null;
  low: number | null;
  high: number | null;
  refusal: string | null;
}

export interface Score extends Given {
  dimension: string;
  title: string;
  made_of: { name: string; value: number; score: number; weight: number; source: string }[];
  evidence: { measure: string; start_s: number; end_s: number }[];
}

/** Who speaks, as the user says; a child is under 16. */
export type Speaker = "adult" | "child";

/** A style of speaking that can be scored. */
export interface Style {
  name: string;
  title: string;
  about: string;
  rated: boolean; // as trained listeners would, too
}

/** What trained listeners would probably say, on their own scale. */
export interface Rating extends Given {
  what: "fluency" | "prosody";
  scale: [number, number];
  sentences: number;
}

export interface Scores {
  rubric: { name: string; title: string; version: number };
  overall: Given;
  scores: Score[];
  ratings?: Rating[]; // of sessions scored since there are any
}

/** A score against before, in points. */
export interface Difference {
  dimension: string; // or overall
  title: string;
  sessions: number; // before it
  before: number;
  now: number;
  difference: number;
  low: number;
  high: number;
  changed: boolean;
}

interface Highlight {
  dimension: string;
  sentence: string;
}

/** A stretch worth hearing again. */
export interface Moment {
  id: string;
  kind: "stumble" | "best";
  what: string;
  dimension: string;
  why: string;
  text: string;
  start_s: number;
  end_s: number;
  cut_start_s: number;
  cut_end_s: number;
}

export interface Clip {
  id: string;
  moment: string | null; // null: the user's own
  label: string;
  start_s: number;
  end_s: number;
  files: ReportFile[]; // none until it is rendered
}

/** What is made of the scores. */
export interface Coaching {
  moments: Moment[];
  drills: { drill: string; title: string; why: string }[];
  change: {
    since: { created_at: string } | null;
    baseline: { sessions: number; created_at: string } | null;
    refusal: string | null;
    dimensions: Difference[];
  };
  highlights: {
    well: Highlight | null;
    work_on: Highlight | null;
    needs: string | null;
    phrased: { text: string; model: string } | null;
  };
}

export interface ReportFile {
  name: string;
  size: number;
  content_type: string;
  url: string;
}

/** What live events carry: one envelope for all streams. */
export interface Live {
  seq: number;
  stream: "tokens" | "metrics" | "score" | "cue" | "state";
  t_ms: number;
  data: Record<string, unknown>;
}

/** A request that was refused, or never answered (status 0): `message` is the sentence to show. */
export class Problem extends Error {
  constructor(
    message: string,
    readonly status: number,
    readonly code: string,
    readonly retryAfterS: number | null = null,
  ) {
    super(message);
  }

  /** Whether the same request may well succeed a little later. */
  get passing(): boolean {
    return this.status === 0 || this.status === 408 || this.status === 429 || this.status >= 500;
  }
}

export const UNREACHABLE = "The server cannot be reached. Check that it is running and that you are online.";

/** The problem that an answer describes (RFC 9457), or a plain sentence where a proxy answered instead. */
export function problemOf(status: number, body: string, retryAfter: string | null): Problem {
  const afterS = retryAfter && /^\d+$/.test(retryAfter) ? Number(retryAfter) : null;
  try {
    const document: unknown = JSON.parse(body);
    if (document !== null && typeof document === "object") {
      const { detail, title, code } = document as Record<string, unknown>;
      const sentence = typeof detail === "string" ? detail : typeof title === "string" ? title : null;
      if (sentence) return new Problem(sentence, status, typeof code === "string" ? code : "", afterS);
    }
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
  }
  return new Problem(`The server answered with an error (${status}). Try again in a moment.`, status, "", afterS);
}

/** One request; gives the decoded JSON. Raises Problem, or AbortError when `signal` says so. */
export async function call<T>(method: string, path: string, body?: unknown, signal?: AbortSignal, more: Record<string, string> = {}): Promise<T> {
  const headers: Record<string, string> = { Accept: "application/json, application/problem+json", ...more };
  if (body !== undefined) headers["Content-Type"] = "application/json";
  let answer: Response;
  let text: string;
  try {
    answer = await fetch(path, { method, headers, body: body === undefined ? null : JSON.stringify(body), signal: signal ?? null });
    text = await answer.text();
  } catch (error) {
    if (error instanceof TypeError) throw new Problem(UNREACHABLE, 0, "unreachable");
    throw error;
  }
  if (!answer.ok) throw problemOf(answer.status, text, answer.headers.get("Retry-After"));
  return (text ? JSON.parse(text) : null) as T;
}

export const at = (id: string, rest = "") => `/v1/sessions/${id}${rest}`;

/** A session that is asked for. Sent again, because its answer was lost, it is still one session. */
export interface Wish {
  key: string;
  body: unknown;
}

// Not randomUUID: pages over plain http from another machine have none.
export const wish = (body: unknown): Wish => ({ key: crypto.getRandomValues(new BigUint64Array(2)).join("-"), body });

export const make = (wished: Wish, signal?: AbortSignal) => call<Session>("POST", "/v1/sessions", wished.body, signal, { "Idempotency-Key": wished.key });

/** What to call a session: its title, else the recording's name. */
export function nameOf(session: Session): string {
  return session.title || session.media?.filename || "Untitled recording";
}
