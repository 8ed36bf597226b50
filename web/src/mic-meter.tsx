/** The level check: a bar that moves with the voice, where it should be, and a word on whether it is. */

import { useEffect, useRef, useState } from "preact/hooks";
import { printed } from "./format";
import type { Capture } from "./mic-capture";
import { Level, type Judgement } from "./mic-level";

const FLOOR_DBFS = -60;
const JUDGED_S = 1; // so often, so that the word can be read
const CALM_S = 0.5; // between moves of the bar for those who asked for less motion

export function Meter({ capture, device, onWord }: { capture: Capture; device: string; onWord: (word: string) => void }) {
  const bar = useRef<HTMLDivElement>(null);
  const number = useRef<HTMLElement>(null);
  const [judgement, setJudgement] = useState<Judgement | null>(null);
  useEffect(() => {
    const level = new Level(capture.rateHz);
    const calm = matchMedia("(prefers-reduced-motion: reduce)").matches;
    let moved = 0;
    let judged = 0;
    setJudgement(null);
    return capture.hear((piece) => {
      if (!level.take(piece)) return;
      if (!calm || level.seconds - moved >= CALM_S) {
        moved = level.seconds;
        bar.current?.style.setProperty("--level", String(Math.min(Math.max(1 - level.dbfs / FLOOR_DBFS, 0), 1)));
      }
      if (level.seconds - judged >= JUDGED_S) {
        judged = level.seconds;
        setJudgement(level.judgement);
        const loudest = level.loudestDbfs;
        bar.current?.setAttribute("aria-valuenow", String(Math.round(Math.max(loudest, FLOOR_DBFS))));
        if (number.current) number.current.textContent = loudest < -99 ? "\u2212\u221e dBFS" : `${printed(loudest, 0)} dBFS`;
      }
    });
  }, [capture, device]);
  const word = judgement === null ? "Say a sentence as you would to your audience." : WORDS[judgement](device);
  useEffect(() => onWord(word), [word]);
  return (
    <div class={`levels ${judgement ?? ""}`}>
      <div ref={bar} class="reach" role="meter" aria-label={`Level of ${device}`} aria-valuemin={FLOOR_DBFS} aria-valuemax={0} aria-valuenow={FLOOR_DBFS} aria-valuetext={word}>
        <i />
      </div>
      <p class="ends" aria-hidden="true">
        <span>Too quiet</span>
        <span>Good</span>
        <span>Too loud</span>
      </p>
      <p class="verdict">
        <b>{judgement ? TITLES[judgement] : "Listening"}</b> <span>{word}</span> <small ref={number} />
      </p>
    </div>
  );
}

const TITLES: Record<Judgement, string> = { silent: "Silent", quiet: "Too quiet", good: "Good", clipping: "Clipping" };

const WORDS: Record<Judgement, (device: string) => string> = {
  silent: (device) => `Nothing is heard from ${device}. Is it muted, or another one meant?`,
  quiet: () => "Say a sentence. If you just did, come closer or turn the microphone up.",
  good: () => "The level is right.",
  clipping: () => "Loud sounds are cut off. Move away or turn the microphone down.",
};
