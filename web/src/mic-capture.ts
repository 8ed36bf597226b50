/** What a microphone gives, piece by piece, with the last minute kept: what a lost connection swallows can be sent again. */

import { Insecure, microphoneProblem, openMicrophone, remember } from "./mic";
import worklet from "./mic-worklet?worker&url";

const KEPT_S = 60; // as much as the server still takes for a gap (rtc/intake.py)

export interface Piece {
  pcm: Int16Array<ArrayBuffer>;
  power: number; // mean square, 1 is full scale
  peak: number; // 0..1
}

export class Capture {
  count = 0; // samples so far: the clock of this page
  private readonly kept: Int16Array<ArrayBuffer>;
  private readonly ears = new Set<(piece: Piece) => void>();
  private source: MediaStreamAudioSourceNode;

  private constructor(
    private readonly context: AudioContext,
    private readonly node: AudioWorkletNode,
    private current: MediaStream,
  ) {
    this.kept = new Int16Array(KEPT_S * context.sampleRate);
    node.port.onmessage = (event: MessageEvent<Piece>) => this.take(event.data);
    this.source = context.createMediaStreamSource(current);
    this.source.connect(node);
  }

  /** At the rate of the microphone, where the browser takes that: nothing is resampled on the way. */
  static async open(stream: MediaStream): Promise<Capture> {
    const { sampleRate } = stream.getAudioTracks()[0]?.getSettings() ?? {};
    try {
      return await Capture.at(stream, sampleRate ? { sampleRate } : {});
    } catch (error) {
      if (!(error instanceof DOMException && error.name === "NotSupportedError")) throw error;
      return Capture.at(stream, {});
    }
  }

  private static async at(stream: MediaStream, options: AudioContextOptions): Promise<Capture> {
    const context = new AudioContext(options);
    await context.audioWorklet.addModule(worklet);
    const node = new AudioWorkletNode(context, "capture", { numberOfOutputs: 0 });
    await context.resume(); // some browsers start it suspended after a reload
    return new Capture(context, node, stream);
  }

  get rateHz(): number {
    return this.context.sampleRate;
  }

  get stream(): MediaStream {
    return this.current;
  }

  get track(): MediaStreamTrack {
    const [track] = this.current.getAudioTracks();
    if (!track) throw new Error("a microphone without a track");
    return track;
  }

  /** The first sample that is still kept. */
  get oldest(): number {
    return Math.max(0, this.count - this.kept.length);
  }

  /** Go on with another microphone, on the same clock. */
  use(stream: MediaStream): void {
    this.source.disconnect();
    for (const track of this.current.getTracks()) track.stop();
    this.current = stream;
    this.source = this.context.createMediaStreamSource(stream);
    this.source.connect(this.node);
  }

  /** Samples `from` up to `to`; of them what has come, and is still kept, from `oldest` on. */
  slice(from: number, to: number): Int16Array<ArrayBuffer> {
    const begin = Math.max(from, this.oldest);
    const out = new Int16Array(Math.max(0, Math.min(to, this.count) - begin));
    const at = begin % this.kept.length;
    const first = this.kept.subarray(at, at + out.length);
    out.set(first);
    out.set(this.kept.subarray(0, out.length - first.length), first.length);
    return out;
  }

  /** Calls `ear` with every piece as it comes; gives what ends that. */
  hear(ear: (piece: Piece) => void): () => void {
    this.ears.add(ear);
    return () => this.ears.delete(ear);
  }

  /** Lets go of the microphone. */
  close(): void {
    for (const track of this.current.getTracks()) track.stop();
    this.ears.clear();
    void this.context.close();
  }

  private take(piece: Piece): void {
    const at = this.count % this.kept.length;
    const first = piece.pcm.subarray(0, this.kept.length - at);
    this.kept.set(first, at);
    this.kept.set(piece.pcm.subarray(first.length), 0);
    this.count += piece.pcm.length;
    for (const ear of this.ears) ear(piece);
  }
}

/** The one asked for, or the usual one, opened; or what to tell where it cannot be. */
export async function captured(id?: string): Promise<Capture | string> {
  try {
    return await Capture.open(await openMicrophone(id));
  } catch (error) {
    if (!(error instanceof DOMException || error instanceof Insecure)) throw error;
    return microphoneProblem(error.name);
  }
}

/** Goes on with another microphone; what to tell where it cannot be opened, else nothing. */
export async function exchanged(capture: Capture, id: string): Promise<string> {
  try {
    capture.use(await openMicrophone(id));
    remember(id);
    return "";
  } catch (error) {
    if (!(error instanceof DOMException)) throw error;
    return microphoneProblem(error.name);
  }
}
