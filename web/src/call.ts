/** Keeps a session's sound flowing: by WebRTC, else over a WebSocket; after a break on the same session again, and what was missed is sent after. */

import { at, call, Problem, type Session } from "./api";
import { Blocked, Unreached, type End, type Link } from "./call-link";
import { byPeer } from "./call-peer";
import { bySocket } from "./call-socket";
import type { Envelope } from "./live/store";
import type { Capture } from "./mic-capture";

const WAITS_S = [0.25, 0.25, 0.25, 1, 2, 4, 8];
const SESSION_HZ = 16_000;
const AROUND_S = 2; // on both sides of a gap, for the server to find its place by what it has
const WORTH_S = 0.2; // what is shorter is single packets: they come all the time on a bad line, and each would cost four seconds of upload
const UNDERWAY_S = 0.1; // what a reading of the numbers takes to get here at least: packets, their buffer, and the way back
const ENDING_MS = 60_000; // for a lost line to come back after the last word, and for what was missed: the server waits no longer
const ANSWER_MS = 4000;
const TOLD_MS = 2000; // after a break, until the server says what it misses, or why it hung up

export type Line =
  | { at: "connecting" }
  | { at: "open"; by: "peer" | "socket" }
  | { at: "lost" }
  | { at: "elsewhere" } // another window speaks, or the session has ended
  | { at: "refused"; problem: Problem }; // and not tried again

type Seconds = readonly [number, number];

export class Call {
  private readonly stop = new AbortController();
  private readonly began: number; // sample of the capture: nothing from before is sent
  private readonly clock: Clock;
  private readonly sent = new Set<string>(); // gaps
  private readonly replaced = new Set<string>(); // connections that another one took over from
  private link: Link | null = null;
  private opened = false;
  private ending = false;
  private blocked = false; // UDP was tried, and nothing came through
  private gaps: readonly Seconds[] = [];
  private filling: Promise<void> | null = null;
  private retry: () => void = () => undefined;
  private look: () => void = () => undefined; // whether it is ours

  constructor(
    private readonly session: string,
    private readonly capture: Capture,
    private readonly servers: RTCIceServer[],
    private readonly onLine: (line: Line) => void,
  ) {
    this.began = capture.count;
    this.clock = new Clock(capture);
    void this.run();
  }

  /** Takes what the session says of itself: where its clock is, what it misses, and who is not heard any more. */
  heard(event: Envelope): void {
    const { at, lost, replaced } = event.data;
    if (event.stream === "metrics" && typeof at === "number") this.clock.heard(at);
    else if (event.stream === "state" && Array.isArray(lost)) this.gaps = lost as Seconds[];
    else if (event.stream === "state" && typeof replaced === "string") {
      this.replaced.add(replaced);
      this.look();
    }
    if (this.gaps.length > 0) this.fill();
  }

  /** Go on with another microphone. */
  use(stream: MediaStream): void {
    this.capture.use(stream);
    this.link?.use(stream);
  }

  /** The speaker is done: sees to it that the server has all that was said, if the line is there or comes back in time. */
  async finish(): Promise<void> {
    const limit = AbortSignal.timeout(ENDING_MS);
    const cut = !this.link;
    while (!this.link && !this.stop.signal.aborted && !limit.aborted) await pause(100);
    if (cut) await pause(TOLD_MS);
    const late = new Promise((done) => limit.addEventListener("abort", done));
    await Promise.race([late, this.finishing()]);
  }

  private async finishing(): Promise<void> {
    await this.link?.sent();
    await this.filling;
    this.ending = true;
    await this.link?.heard();
  }

  close(): void {
    this.stop.abort();
    this.retry();
    this.link?.close();
  }

  private async run(): Promise<void> {
    const over = this.stop.signal;
    let failures = 0;
    this.onLine({ at: "connecting" });
    while (!over.aborted) {
      try {
        const link = await this.connect();
        if (over.aborted) return link.close();
        [this.link, this.opened, failures] = [link, true, 0];
        this.onLine({ at: "open", by: link.by });
        const taken = this.taken(link);
        let why = await Promise.race([link.ended, taken]);
        link.close();
        this.link = null;
        if (why === "closed") why = await Promise.race([taken, pause(TOLD_MS).then(() => "lost" as const)]);
        if (over.aborted || this.ending) return;
        this.onLine({ at: why === "replaced" ? "elsewhere" : "lost" });
        if (why === "replaced") return; // taking it back would go on for ever
      } catch (error) {
        if (over.aborted) return;
        if (!(error instanceof Problem || error instanceof Unreached)) throw error;
        // Who has not begun yet should hear that there is no room; who has begun waits for it.
        if (error instanceof Problem && error.status !== 0 && (!this.opened || !(error.passing || error.code === "live-elsewhere"))) {
          return this.onLine({ at: "refused", problem: error });
        }
        failures += 1;
        if (failures === WAITS_S.length && !this.opened) this.onLine({ at: "lost" });
      }
      await this.wait(WAITS_S[Math.min(failures, WAITS_S.length - 1)] ?? 1);
    }
  }

  /** Until another connection speaks instead of this one. */
  private taken({ id }: Link): Promise<End> {
    return new Promise((done) => {
      this.look = () => this.replaced.has(id) && done("replaced");
      this.look();
    });
  }

  private async connect(): Promise<Link> {
    const { session, capture } = this;
    if (!this.blocked && "RTCPeerConnection" in window) {
      try {
        this.clock.restart();
        return await byPeer(session, capture.stream, this.servers, this.stop.signal);
      } catch (error) {
        if (!(error instanceof Blocked)) throw error;
        this.blocked = true;
      }
    }
    try {
      return await bySocket(session, capture, (expected) => this.clock.settle(expected, this.began), this.stop.signal);
    } catch (error) {
      if (error instanceof Unreached) await this.ask();
      throw error;
    }
  }

  /** A WebSocket cannot say why it was refused. Raises Problem where the session is over. */
  private async ask(): Promise<void> {
    const limit = AbortSignal.any([this.stop.signal, AbortSignal.timeout(ANSWER_MS)]);
    try {
      const { state } = await call<Session>("GET", at(this.session), undefined, limit);
      if (state !== "live" && state !== "created") throw new Problem("The session has ended.", 409, "wrong-state");
    } catch (error) {
      if (!(error instanceof DOMException)) throw error;
    }
  }

  /** Until it is time to try again, or the network is back. */
  private wait(s: number): Promise<void> {
    return new Promise((done) => {
      const go = () => {
        clearTimeout(timer);
        window.removeEventListener("online", go);
        done();
      };
      const timer = setTimeout(go, s * 1000);
      this.retry = go;
      window.addEventListener("online", go);
    });
  }

  /** Send what the server misses, one stretch after the other. */
  private fill(): void {
    this.filling ??= this.fillAll().finally(() => (this.filling = null));
  }

  private async fillAll(): Promise<void> {
    for (;;) {
      const gap = this.gaps.find((gap) => gap[1] - gap[0] >= WORTH_S && !this.sent.has(gap.join()));
      if (!gap || !this.link || this.stop.signal.aborted || !this.clock.known) return;
      const fromS = gap[0] - AROUND_S;
      const start = Math.max(this.clock.sample(fromS), this.began, this.capture.oldest);
      const end = this.clock.sample(gap[1] + AROUND_S);
      if (end > start && !((await this.come(end)) && (await this.post(start, end, this.clock.place(start, fromS))))) return;
      this.sent.add(gap.join());
    }
  }

  /** Waits until so much was captured. */
  private come(count: number): Promise<boolean> {
    return new Promise((done) => {
      const look = () => {
        if (this.capture.count < count && !this.stop.signal.aborted) return;
        deaf();
        done(!this.stop.signal.aborted);
      };
      const deaf = this.capture.hear(look);
      look();
    });
  }

  /** Whether it is settled; else it is tried again with the next reading that arrives. */
  private async post(start: number, end: number, place: number): Promise<boolean> {
    const { session, capture } = this;
    const body = capture.slice(start, end);
    try {
      const headers = { "Content-Type": "application/octet-stream" };
      const answer = await fetch(at(session, `/fill?at=${place}&rate=${capture.rateHz}`), { method: "POST", headers, body, signal: this.stop.signal });
      if (answer.ok) this.gaps = ((await answer.json()) as { lost: Seconds[] }).lost;
      if (answer.status < 500) return true;
    } catch (error) {
      if (!(error instanceof TypeError || error instanceof DOMException)) throw error;
    }
    await this.wait(1);
    return false;
  }
}

const pause = (ms: number) => new Promise((done) => setTimeout(done, ms));

/** How one connection places its sound: the sample of the capture at which the session began, once it is known. */
interface Placing {
  since: number; // sample of the session
  origin: number | null;
}

/** Where the session's clock lies in what is captured here. Exact over a WebSocket, which counts; else from when readings of it arrive. */
class Clock {
  private readonly placings: Placing[] = [];
  private seen = 0; // the newest reading, samples of the session
  private exact = false;

  constructor(private readonly capture: Capture) {}

  get known(): boolean {
    return (this.placings.at(-1)?.origin ?? null) !== null;
  }

  /** A reading of the session's clock has just arrived; the one that took least time says most. */
  heard(sample: number): void {
    if (sample <= this.seen) return; // told again, after a break
    this.seen = sample;
    const placing = this.placings.at(-1);
    if (this.exact || !placing) return;
    const origin = this.capture.count - (sample / SESSION_HZ + UNDERWAY_S) * this.capture.rateHz;
    placing.origin = Math.min(placing.origin ?? origin, origin);
  }

  /** A new connection may place its sound a little differently. */
  restart(): void {
    if (this.placings.at(-1)?.origin === null) this.placings.pop();
    this.placings.push({ since: this.seen, origin: null });
    this.exact = false;
  }

  /** A connection that counts, and goes on from what the server expects. Gives the origin; what is captured from `began` on is all there is. */
  settle(expected: number, began: number): number {
    const known = this.placings.findLast((placing) => placing.origin !== null)?.origin ?? null;
    const origin = known === null ? began - Math.ceil((expected * this.capture.rateHz) / SESSION_HZ) : Math.round(known);
    if (this.placings.at(-1)?.origin === null) this.placings.pop();
    this.placings.push({ since: this.seen, origin });
    this.exact = true;
    return origin;
  }

  /** The sample of the capture at a time of the session, as the connection of that time has it. */
  sample(atS: number): number {
    return Math.round(this.origin(atS) + atS * this.capture.rateHz);
  }

  /** The place in the session of a sample of the capture that was said around that time. */
  place(sample: number, atS: number): number {
    return Math.max(0, Math.round(((sample - this.origin(atS)) / this.capture.rateHz) * SESSION_HZ));
  }

  private origin(atS: number): number {
    const of = this.placings.findLast(({ since, origin }) => origin !== null && since <= atS * SESSION_HZ);
    return (of ?? this.placings.find(({ origin }) => origin !== null))?.origin ?? 0;
  }
}
