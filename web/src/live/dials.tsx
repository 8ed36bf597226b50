/** Pace and loudness, each as a number with a picture of where it lies. */

import pace from "../generated/pace.json";
import { levelOf, levelWord, paceOf, paceWord } from "./numbers";
import { SLOW_MS, FAST_MS, usePaced } from "./paced";
import type { LiveStore } from "./store";

const FLOOR_DBFS = -60;

const clamped = (share: number) => Math.min(Math.max(share, 0), 1);
const paceShare = (wpm: number) => clamped((wpm - pace.least) / (pace.most - pace.least));
const levelShare = (dbfs: number) => clamped(1 - dbfs / FLOOR_DBFS);

/** An arc of the dial, from one share of it to another: a half circle of radius 50 around (60, 58), drawn from the left. */
function arc(from: number, to: number): string {
  const at = (share: number) => `${(60 - 50 * Math.cos(Math.PI * share)).toFixed(2)} ${(58 - 50 * Math.sin(Math.PI * share)).toFixed(2)}`;
  return `M${at(from)}A50 50 0 0 1 ${at(to)}`;
}

export function Pace({ store }: { store: LiveStore }) {
  usePaced(store, SLOW_MS);
  const wpm = store.last10?.rate_wpm ?? null;
  const word = paceWord(store.last10);
  return (
    <figure class="dial">
      <figcaption>
        <b>Pace</b> <span>{word}</span>
      </figcaption>
      <svg viewBox="0 0 120 64" aria-hidden="true">
        <path class="scale" d={arc(0, 1)} />
        <path class="well" d={arc(paceShare(pace.low), paceShare(pace.high))} />
        {wpm !== null && <path class="hand" d="M60 58 L60 16" transform={`rotate(${(180 * paceShare(wpm) - 90).toFixed(1)} 60 58)`} />}
        {wpm !== null && <circle class="hub" cx="60" cy="58" r="3.5" />}
      </svg>
      <p class="sum">
        {paceOf(store.last10)} <span class="unit">words/min</span>
      </p>
      <p class="quiet">
        Comfortable from {pace.low} to {pace.high}.
      </p>
    </figure>
  );
}

/** The level now as a bar, the median of the last 10 s as a mark on it. */
export function LevelBar({ store }: { store: LiveStore }) {
  usePaced(store, FAST_MS);
  const median = store.last10?.level_dbfs ?? null;
  return (
    <svg class="meter" viewBox="0 0 100 8" preserveAspectRatio="none" aria-hidden="true">
      <path class="scale" d="M0 4H100" />
      {store.levelDbfs !== null && !store.over && <path class="now" d={`M0 4H${(100 * levelShare(store.levelDbfs)).toFixed(1)}`} />}
      {median !== null && <path class="median" d={`M${(100 * levelShare(median)).toFixed(1)} 0V8`} />}
    </svg>
  );
}

export function Loudness({ store }: { store: LiveStore }) {
  usePaced(store, SLOW_MS);
  return (
    <figure class="loudness">
      <figcaption>
        <b>Loudness</b> <span>{levelWord(store.last10)}</span>
      </figcaption>
      <p class="sum">
        {levelOf(store.last10)} <span class="unit">dBFS</span>
      </p>
      <LevelBar store={store} />
    </figure>
  );
}
