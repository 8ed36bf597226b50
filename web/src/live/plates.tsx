/** The live view in small: what lies over a video, or in a window above all others. */

import type { ComponentChildren } from "preact";
import { LevelBar } from "./dials";
import { Cue } from "./cue";
import { amiss, fillersOf, levelOf, levelWord, paceOf, paceWord, timeOf } from "./numbers";
import { FAST_MS, SLOW_MS, usePaced } from "./paced";
import { Ribbon } from "./ribbon";
import type { LiveStore } from "./store";

export const PARTS = ["pace", "pitch", "loudness", "fillers", "cue", "words", "time"] as const;
export const THEMES = ["dark", "light"] as const;
export const SIZES = ["medium", "small", "large"] as const;
export const PLACES = ["bottom-left", "bottom", "bottom-right", "top-left", "top", "top-right"] as const;

export type Part = (typeof PARTS)[number];

/** What is shown, and how. The first of each list is what nobody asked to change. */
export interface Look {
  show: readonly Part[];
  theme: (typeof THEMES)[number];
  size: (typeof SIZES)[number];
  place: (typeof PLACES)[number];
}

export const USUAL: Look = { show: ["pace", "pitch", "loudness", "cue"], theme: "dark", size: "medium", place: "bottom-left" };

const LAST_WORDS = 14; // two lines or so

export function Plates({ store, look, note }: { store: LiveStore; look: Look; note: string }) {
  const has = (part: Part) => look.show.includes(part);
  const numbers = look.show.some((part) => part !== "cue" && part !== "words");
  return (
    <main class={`plates ${look.theme} ${look.size} ${look.place}`}>
      {has("cue") && <Cue store={store} />}
      {numbers && (
        <div class="plate row">
          {has("time") && <Figure store={store} name="Time" of={() => [timeOf(store), ""]} />}
          {has("pace") && <Figure store={store} name="Pace" of={() => [paceOf(store.last10), paceWord(store.last10) || "words/min"]} />}
          {has("fillers") && <Figure store={store} name="Fillers" of={() => [fillersOf(store.last10), "per min"]} />}
          {has("loudness") && (
            <Figure store={store} name="Loudness" of={() => [levelOf(store.last10), levelWord(store.last10) || "dBFS"]}>
              <LevelBar store={store} />
            </Figure>
          )}
          {has("pitch") && (
            <div class="figure wide">
              <p class="name">Pitch</p>
              <Ribbon store={store} labels={false} />
            </div>
          )}
        </div>
      )}
      {has("words") && <LastWords store={store} />}
      <Standing store={store} note={note} />
    </main>
  );
}

interface FigureProps {
  store: LiveStore;
  name: string;
  of: () => [value: string, unit: string];
  children?: ComponentChildren;
}

function Figure({ store, name, of, children }: FigureProps) {
  usePaced(store, SLOW_MS);
  const [value, unit] = of();
  return (
    <div class="figure">
      <p class="name">{name}</p>
      <p class="value">
        {value} <span class="unit">{unit}</span>
      </p>
      {children}
    </div>
  );
}

function LastWords({ store }: { store: LiveStore }) {
  usePaced(store, FAST_MS);
  const committed = store.paragraphs.slice(-2).flatMap(({ items }) => items);
  const words = [...committed.map((item) => ({ item, sure: true })), ...store.tail.map((item) => ({ item, sure: false }))].slice(-LAST_WORDS);
  if (words.length === 0) return null;
  return (
    <p class="plate said" lang={store.language || undefined} dir="auto">
      {words.map(({ item, sure }) => {
        if (!("text" in item)) return null;
        const text = item.kind === "word" ? item.text : <mark class={item.kind}>{item.text}</mark>;
        return <span key={item.start_s} class={sure ? "" : "tentative"}>{text} </span>;
      })}
    </p>
  );
}

function Standing({ store, note }: { store: LiveStore; note: string }) {
  usePaced(store, FAST_MS);
  const text = [note || words(store), amiss(store)].filter(Boolean).join(" ");
  return (
    <p class="standing" role="status">
      {text && <span class="plate">{text}</span>}
    </p>
  );
}

function words(store: LiveStore): string {
  if (store.over) return "This session has ended.";
  if (store.phase === "waiting") return "Waiting for the speaker to come back.";
  return store.phase === null && store.last10 === null ? "Waiting for the session to begin." : "";
}
