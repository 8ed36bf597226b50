/** Records the microphone into a file. */

import { openMicrophone } from "./mic";

const KINDS = [
  ["audio/webm;codecs=opus", "webm"],
  ["audio/mp4", "m4a"],
  ["audio/ogg;codecs=opus", "ogg"],
] as const;

export class Recorder {
  private readonly pieces: Blob[] = [];
  private readonly samples: Float32Array<ArrayBuffer>;

  private constructor(
    private readonly stream: MediaStream,
    private readonly context: AudioContext,
    private readonly analyser: AnalyserNode,
    private readonly recorder: MediaRecorder,
    private readonly extension: string,
  ) {
    this.samples = new Float32Array(analyser.fftSize);
    recorder.addEventListener("dataavailable", (event) => this.pieces.push(event.data));
    recorder.start(5000);
  }

  /** Asks for the microphone. Raises DOMException where it is refused or missing, or Insecure. */
  static async start(): Promise<Recorder> {
    const stream = await openMicrophone();
    const context = new AudioContext();
    const analyser = new AnalyserNode(context, { fftSize: 2048 });
    context.createMediaStreamSource(stream).connect(analyser);
    const [type, extension] = KINDS.find(([kind]) => MediaRecorder.isTypeSupported(kind)) ?? ["", "webm"];
    const recorder = new MediaRecorder(stream, { audioBitsPerSecond: 96_000, ...(type && { mimeType: type }) });
    return new Recorder(stream, context, analyser, recorder, extension);
  }

  /** Level of the last 40 ms, dBFS; a sine at full scale reads -3. */
  levelDbfs(): number {
    this.analyser.getFloatTimeDomainData(this.samples);
    let power = 0;
    for (const sample of this.samples) power += sample * sample;
    return 10 * Math.log10(power / this.samples.length + 1e-10);
  }

  /** Ends the recording and gives it as a file. */
  async stop(): Promise<File> {
    const ended = new Promise((done) => this.recorder.addEventListener("stop", done, { once: true }));
    if (this.recorder.state !== "inactive") {
      this.recorder.stop();
      await ended;
    }
    this.release();
    const type = this.recorder.mimeType.split(";")[0] ?? "";
    return new File(this.pieces, `Recording ${stamp(new Date())}.${this.extension}`, { type });
  }

  /** Lets go of the microphone; what was recorded is dropped. */
  release(): void {
    for (const track of this.stream.getTracks()) track.stop();
    void this.context.close();
  }
}

function stamp(at: Date): string {
  const two = (n: number) => String(n).padStart(2, "0");
  return `${at.getFullYear()}-${two(at.getMonth() + 1)}-${two(at.getDate())} ${two(at.getHours())}.${two(at.getMinutes())}`;
}
