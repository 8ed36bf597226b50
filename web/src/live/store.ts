/** What is known of a session while it is spoken: live events in, in whatever order they come; the page draws from it. Reads no clock. */

import type { Live as Envelope } from "../api";

export type { Envelope };

const RIBBON_S = 30; // of pitch that is kept
const STEP_S = 0.02; // between the values of `pitch_hz` and `levels_dbfs`
const MARKED_PAUSE_S = 0.5; // as between the words of the report
const PARAGRAPH_PAUSE_S = 2.5;
const PARAGRAPH_ITEMS = 60; // after which a sentence's end also ends the paragraph
const LONGEST_ITEMS = 150;
const MOST_PARAGRAPHS = 400; // two hours of talk; older ones are forgotten
const CUE_S = 6; // that a cue stays
const MOST_LOST = 200; // stretches that are drawn

export interface Word {
  text: string;
  start_s: number;
  end_s: number;
  probability: number;
  kind: "word" | "filler" | "fragment";
}

export interface Pause {
  kind: "pause";
  start_s: number;
  end_s: number;
}

/** Where words were said that nobody can tell any more here; the report has them. */
export interface Missing {
  kind: "missing";
  start_s: number;
  end_s: number;
}

export type Item = Word | Pause | Missing;

/** Words that never change, with the pauses between them. A new object when something was added, so that it can be compared by identity. */
export interface Paragraph {
  key: number;
  items: readonly Item[];
}

/** The numbers over one window; docs/metrics.md defines them. */
export interface Metrics {
  over_s: number;
  rate_wpm: number | null;
  articulation_syl_s: number | null;
  pause_share: number | null;
  longest_pause_s: number | null;
  f0_median_hz: number | null;
  f0_span_st: number | null;
  f0_sd_st: number | null;
  level_dbfs: number | null;
  fillers_per_min: number | null;
  lost_share: number;
  degraded: string | null;
}

export interface Cue {
  seq: number;
  t_ms: number;
  kind: string;
  text: string;
}

export interface PitchPoint {
  atS: number;
  hz: number | null; // null: no voice, or no sound
}

/** Where the session stands, as its `state` events say. null: nothing was said yet. */
export type Phase = "live" | "waiting" | "processing" | "complete" | "failed" | "cancelled" | "deleting";

const PHASES: readonly string[] = ["live", "waiting", "processing", "complete", "failed", "cancelled", "deleting"] satisfies Phase[];

type Data = Record<string, unknown>;

export class LiveStore {
  seq = 0; // of the newest event: where to go on
  tMs = 0; // session time of the newest metrics, words or cue
  phase: Phase | null = null;
  language = "";
  paragraphs: readonly Paragraph[] = [];
  tail: readonly Item[] = []; // words that may still change, and the pauses among them
  last10: Metrics | null = null;
  last3: Metrics | null = null;
  last30: Metrics | null = null;
  whole: Metrics | null = null; // of the session so far
  levelDbfs: number | null = null; // now
  pitch: readonly PitchPoint[] = []; // the newest 30 s
  lost: readonly (readonly [number, number])[] = []; // seconds, where sound may still come

  #cue: Cue | null = null;
  #metricsMs = -1;
  #tokensMs = -1;
  #tentative: readonly Word[] = [];
  #pauses: Pause[] = []; // after the last committed word
  #lastEndS = -1;
  #keys = 0;
  #listeners = new Set<() => void>();

  constructor(readonly session: string) {}

  /** Called after every event that changed something. Gives the way to stop it. */
  subscribe(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  /** The cue to be shown now, or null. */
  get cue(): Cue | null {
    return this.#cue && this.phase !== "waiting" && !this.over && this.tMs - this.#cue.t_ms < CUE_S * 1000 ? this.#cue : null;
  }

  /** Whether nothing more will be said. */
  get over(): boolean {
    return this.phase !== null && this.phase !== "live" && this.phase !== "waiting";
  }

  /** The speaker's own median of pitch, which the ribbon lies around. */
  get ownHz(): number | null {
    return this.whole?.f0_median_hz ?? this.last30?.f0_median_hz ?? this.last10?.f0_median_hz ?? null;
  }

  /** One event. The same one again changes nothing; an older one adds what was missing and takes nothing back. */
  take(event: Envelope): void {
    this.seq = event.seq;
    if (event.stream === "tokens") this.#tokens(event);
    else if (event.stream === "metrics") this.#metrics(event);
    else if (event.stream === "cue") this.#cued(event);
    else if (event.stream === "state") this.#state(event.data);
    this.#changed();
  }

  /** What is known of the session from elsewhere, where no event has told. */
  stands(phase: string): void {
    if (this.phase === null) this.#state({ session: phase });
    this.#changed();
  }

  /** The events up to this one are not there any more. */
  missed(seq: number): void {
    this.seq = seq;
    const start_s = Math.max(this.#lastEndS, 0);
    if (this.paragraphs.at(-1)?.items.at(-1)?.kind !== "missing") this.#append({ kind: "missing", start_s, end_s: start_s });
    this.#changed();
  }

  #changed(): void {
    for (const listener of this.#listeners) listener();
  }

  #tokens({ t_ms, data }: Envelope): void {
    const committed = items<Word>(data["committed"]);
    const pauses = items<Omit<Pause, "kind">>(data["pauses"]).filter((pause) => pause.end_s - pause.start_s >= MARKED_PAUSE_S);
    for (const { start_s, end_s } of pauses) this.#pause({ kind: "pause", start_s, end_s });
    for (const word of committed) this.#commit(word);
    if (t_ms >= this.#tokensMs) {
      this.#tokensMs = t_ms;
      this.tMs = Math.max(this.tMs, t_ms);
      this.#tentative = items<Word>(data["tentative"]);
    }
    // What was tentative may have been committed by an event that came late.
    this.tail = [...this.#tentative.filter((word) => word.end_s > this.#lastEndS), ...this.#pauses].sort((a, b) => a.start_s - b.start_s);
  }

  #commit(word: Word): void {
    if (word.start_s >= this.#lastEndS) {
      const before = this.#pauses.filter((pause) => pause.start_s < word.start_s);
      this.#pauses = this.#pauses.filter((pause) => pause.start_s >= word.start_s);
      for (const pause of before) this.#append(pause);
      this.#append(word);
      this.#lastEndS = word.end_s;
    } else {
      this.#insert(word);
    }
  }

  #pause(pause: Pause): void {
    if (pause.start_s < this.#lastEndS - STEP_S) {
      this.#insert(pause);
      return;
    }
    const same = this.#pauses.findIndex((other) => other.start_s === pause.start_s);
    if (same >= 0) this.#pauses[same] = pause;
    else this.#pauses.push(pause);
  }

  #append(item: Item): void {
    const last = this.paragraphs.at(-1);
    if (last && !ends(last)) {
      this.paragraphs = [...this.paragraphs.slice(0, -1), { key: last.key, items: [...last.items, item] }];
      return;
    }
    const kept = this.paragraphs.slice(1 - MOST_PARAGRAPHS);
    if (kept.length < this.paragraphs.length && kept[0]) {
      const { key, items } = kept[0];
      const startS = items[0]?.start_s ?? 0;
      if (items[0]?.kind !== "missing") kept[0] = { key, items: [{ kind: "missing", start_s: startS, end_s: startS }, ...items] };
    }
    this.paragraphs = [...kept, { key: this.#keys++, items: [item] }];
  }

  // What comes late: into the paragraph of its time, unless it is there.
  #insert(item: Item): void {
    const at = this.paragraphs.findLastIndex((paragraph) => (paragraph.items[0]?.start_s ?? Infinity) <= item.start_s);
    const paragraph = this.paragraphs[Math.max(at, 0)];
    if (!paragraph) return;
    const pause = item.kind === "pause";
    if (paragraph.items.some((other) => other.start_s === item.start_s && other.kind !== "missing" && (other.kind === "pause") === pause)) return;
    const grown = [...paragraph.items, item].sort((a, b) => a.start_s - b.start_s || a.end_s - b.end_s);
    this.paragraphs = this.paragraphs.with(Math.max(at, 0), { key: paragraph.key, items: grown });
  }

  #metrics({ t_ms, data }: Envelope): void {
    if (t_ms <= this.#metricsMs || !("windows" in data)) return; // the sums of the finished recording have no windows
    const sinceS = (t_ms - this.#metricsMs) / 1000;
    this.#metricsMs = t_ms;
    this.tMs = Math.max(this.tMs, t_ms);
    const windows = record(data["windows"]);
    this.last10 = data as unknown as Metrics;
    this.last3 = (windows["3"] as Metrics | undefined) ?? null;
    this.last30 = (windows["30"] as Metrics | undefined) ?? null;
    this.whole = (data["session"] as Metrics | undefined) ?? this.whole;

    const levels = items<number | null>(data["levels_dbfs"]).filter((level) => level !== null);
    this.levelDbfs = levels.length ? Math.max(...levels) : (this.last3?.level_dbfs ?? this.last10.level_dbfs);

    const nowS = t_ms / 1000;
    const given = data["pitch_hz"];
    const came: PitchPoint[] = Array.isArray(given)
      ? (given as (number | null)[]).map((hz, index) => ({ atS: nowS - (given.length - 1 - index) * STEP_S, hz }))
      : [{ atS: nowS, hz: this.last3?.f0_median_hz ?? null }];
    const gap = sinceS > 0.5 ? [{ atS: (came[0]?.atS ?? nowS) - STEP_S, hz: null }] : []; // readings are missing: no line across
    this.pitch = [...this.pitch.filter((point) => point.atS >= nowS - RIBBON_S && point.atS < (came[0]?.atS ?? nowS)), ...gap, ...came];
  }

  #cued({ seq, t_ms, data }: Envelope): void {
    const { kind, text } = data;
    this.tMs = Math.max(this.tMs, t_ms);
    if (typeof text === "string" && (this.#cue === null || t_ms > this.#cue.t_ms)) {
      this.#cue = { seq, t_ms, kind: typeof kind === "string" ? kind : "", text };
    }
  }

  #state(data: Data): void {
    const { session, language, lost, trimmed } = data;
    if (typeof session === "string" && PHASES.includes(session)) this.phase = session as Phase;
    if (typeof language === "string") this.language = language;
    if (Array.isArray(lost)) this.lost = (lost as [number, number][]).slice(-MOST_LOST);
    if (typeof trimmed === "number" && trimmed > 0) this.missed(this.seq);
  }
}

function ends({ items }: Paragraph): boolean {
  const last = items.at(-1);
  if (!last) return false;
  if (last.kind === "pause") return last.end_s - last.start_s >= PARAGRAPH_PAUSE_S;
  if (last.kind === "missing") return false;
  return items.length >= LONGEST_ITEMS || (items.length >= PARAGRAPH_ITEMS && /[.?!…。？！]$/.test(last.text));
}

function items<T>(given: unknown): readonly T[] {
  return Array.isArray(given) ? (given as T[]) : [];
}

function record(given: unknown): Data {
  return given !== null && typeof given === "object" ? (given as Data) : {};
}
