/** How loud the microphone is: a bar for each of the last moments, and a word on whether that is right. */

import { useEffect, useRef, useState } from "preact/hooks";
import type { Recorder } from "./recorder";

const BARS = 64;
const FLOOR_DBFS = -60;
const EVERY_MS = 60;
const CALM_MS = 500; // for those who asked for less motion

export function Level({ recorder }: { recorder: Recorder }) {
  const bars = useRef<SVGPathElement>(null);
  const [word, setWord] = useState("");
  useEffect(() => {
    const heights: number[] = new Array<number>(BARS).fill(0);
    let loudest = -Infinity;
    let looks = 0;
    const every = matchMedia("(prefers-reduced-motion: reduce)").matches ? CALM_MS : EVERY_MS;
    const look = () => {
      const level = recorder.levelDbfs();
      loudest = Math.max(loudest, level);
      heights.shift();
      heights.push(Math.min(Math.max(1 - level / FLOOR_DBFS, 0.02), 1));
      bars.current?.setAttribute("d", heights.map((height, x) => `M${x * 4 + 2} ${24 - 22 * height}v${44 * height}`).join(""));
      looks += 1;
      if (looks * every >= 3000) {
        setWord(loudest < -50 ? "Nothing is heard. Is the right microphone on?" : loudest < -35 ? "Very quiet: come closer." : loudest > -6 ? "Too loud: move away a little." : "The level is good.");
        loudest = -Infinity;
        looks = 0;
      }
    };
    const timer = setInterval(look, every);
    return () => clearInterval(timer);
  }, [recorder]);
  return (
    <>
      <svg class="level" viewBox={`0 0 ${BARS * 4} 48`} preserveAspectRatio="none" role="img" aria-label="Level of the microphone">
        <path ref={bars} />
      </svg>
      <p class="hint level-word" role="status">
        {word || "Speak, and watch the level."}
      </p>
    </>
  );
}
