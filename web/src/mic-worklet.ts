/** On the audio thread: what the microphone gives, as 16-bit pieces, each with its level. Without a microphone no time passes. */

declare class AudioWorkletProcessor {
  readonly port: MessagePort;
}
declare function registerProcessor(name: string, processor: new () => AudioWorkletProcessor): void;

const PIECE = 1024; // samples, 21 ms at 48 kHz: a whole number of the 128 that come at once

class Capture extends AudioWorkletProcessor {
  private pcm = new Int16Array(PIECE);
  private filled = 0;
  private power = 0;
  private peak = 0;

  process([channels = []]: Float32Array[][]): boolean {
    const length = channels[0]?.length ?? 0;
    for (let i = 0; i < length; i++) {
      let sample = 0;
      for (const channel of channels) sample += (channel[i] ?? 0) / channels.length;
      this.power += sample * sample;
      this.peak = Math.max(this.peak, Math.abs(sample));
      this.pcm[this.filled++] = Math.max(-32768, Math.min(32767, Math.round(sample * 32768)));
      if (this.filled === PIECE) this.send();
    }
    return true;
  }

  private send(): void {
    const { pcm, power, peak } = this;
    this.port.postMessage({ pcm, power: power / PIECE, peak }, [pcm.buffer]);
    this.pcm = new Int16Array(PIECE);
    this.filled = this.power = this.peak = 0;
  }
}

registerProcessor("capture", Capture);
