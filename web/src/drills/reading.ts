/** Where in a text somebody is who reads it aloud, as far as the live words tell. The result is judged by the server (speech/reading.py). */

import type { LiveStore, Word } from "../live/store";

export interface Token {
  text: string;
  marked: boolean;
  breath: boolean; // a place to breathe follows
  sentence: number;
}

const AHEAD = 5; // words that may have been left out or misheard

export const plain = (word: string) => word.toLowerCase().replace(/[^\p{L}\p{N}]/gu, "");

/** The text of a drill: `/` is a place to breathe, *word* is to stand out. */
export function tokens(text: string): Token[] {
  const found: Token[] = [];
  let sentence = 0;
  for (const piece of text.split(/\s+/)) {
    const last = found.at(-1);
    if (piece === "/") {
      if (last) last.breath = true;
      continue;
    }
    const word = piece.replaceAll("*", "");
    found.push({ text: word, marked: piece.startsWith("*"), breath: false, sentence });
    if (/[.?!]$/.test(word)) sentence += 1;
  }
  return found;
}

/** All words that were committed, fillers among them. */
export function said(store: LiveStore): Word[] {
  return store.paragraphs.flatMap(({ items }) => items).filter((item): item is Word => item.kind !== "pause" && item.kind !== "missing");
}

/** For each word of the text the one that was said for it, in order; undefined where there is none yet. */
export function placed(text: readonly Token[], words: readonly Word[]): (Word | undefined)[] {
  const found: (Word | undefined)[] = new Array<Word | undefined>(text.length).fill(undefined);
  let at = 0;
  for (const word of words) {
    if (word.kind !== "word") continue;
    for (let next = at; next < Math.min(at + AHEAD, text.length); next += 1) {
      if (plain(text[next]?.text ?? "") !== plain(word.text)) continue;
      found[next] = word;
      at = next + 1;
      break;
    }
  }
  return found;
}
