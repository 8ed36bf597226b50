/** How loud the microphone is, and a word on it. */

import type { Piece } from "./mic-capture";

const GROUP = 5; // pieces in a reading: 107 ms at 48 kHz
const LOOK_BACK = 28; // readings, 3 s
const SILENT_DBFS = -66; // under the noise of any microphone in a room that is switched on; a muted one gives zeros
const QUIET_DBFS = -40; // of the loudest syllables: with these the noise of a room begins to count as speech
const FULL = 0.985; // of full scale: cut off, whatever the last bit says

export type Judgement = "silent" | "quiet" | "good" | "clipping";

export class Level {
  dbfs = -Infinity; // the last reading; a sine at full scale reads -3
  seconds = 0; // heard so far
  quietS = 0; // since anything was heard
  private readonly loud: number[] = [];
  private readonly peaks: number[] = [];
  private power = 0;
  private peak = 0;
  private pieces = 0;

  constructor(private readonly rateHz: number) {}

  /** Take a piece; whether it completed a reading. */
  take({ pcm, power, peak }: Piece): boolean {
    this.power += power;
    this.peak = Math.max(this.peak, peak);
    this.pieces += 1;
    if (this.pieces < GROUP) return false;
    const lengthS = (GROUP * pcm.length) / this.rateHz;
    this.dbfs = 10 * Math.log10(this.power / GROUP);
    this.seconds += lengthS;
    this.quietS = this.dbfs > SILENT_DBFS ? 0 : this.quietS + lengthS;
    this.loud.push(this.dbfs);
    this.peaks.push(this.peak);
    if (this.loud.length > LOOK_BACK) {
      this.loud.shift();
      this.peaks.shift();
    }
    this.power = this.peak = this.pieces = 0;
    return true;
  }

  /** Of the last three seconds. */
  get loudestDbfs(): number {
    return Math.max(...this.loud);
  }

  get judgement(): Judgement {
    if (Math.max(...this.peaks) >= FULL) return "clipping";
    if (this.loudestDbfs < SILENT_DBFS) return "silent";
    return this.loudestDbfs < QUIET_DBFS ? "quiet" : "good";
  }
}
