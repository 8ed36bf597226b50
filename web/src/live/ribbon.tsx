/** Pitch over the last half minute, in semitones around the speaker's own median. */

import { useContext, useEffect, useRef } from "preact/hooks";
import uPlot from "uplot";
import { printed } from "../format";
import { FAST_MS, Page, paced, SLOW_MS, usePaced } from "./paced";
import type { LiveStore } from "./store";

const OVER_S = 30;
const HALF_ST = 9; // above and below the median; speech that moves more is drawn at the edge
const SPLITS = [-6, 0, 6];
const JUMP_ST = 7; // between neighbours: another stretch of voice, or an octave taken for another; no line across

const POINT_PX = 2; // between points: closer ones would be drawn over each other

type Columns = [number[], (number | null)[]];

/** The course as uPlot takes it: seconds before now, semitones, so many points over the whole width. Means over places that move with the sound. */
function columns({ pitch, ownHz, tMs }: LiveStore, points: number): Columns {
  const stepS = Math.max(OVER_S / points, 0.02);
  const xs: number[] = [];
  const ys: (number | null)[] = [];
  let [place, sum, count, before] = [NaN, 0, 0, NaN];
  const close = () => {
    if (Number.isNaN(place)) return;
    const xS = (place + 0.5) * stepS - tMs / 1000;
    const st = count ? Math.min(Math.max(sum / count, -HALF_ST), HALF_ST) : null;
    if (st !== null && Math.abs(st - before) > JUMP_ST) {
      xs.push(xS - stepS / 2);
      ys.push(null);
    }
    xs.push(xS);
    ys.push(st);
    [sum, count, before] = [0, 0, st ?? NaN];
  };
  for (const { atS, hz } of pitch) {
    const at = Math.floor(atS / stepS);
    if (at !== place) {
      close();
      place = at;
    }
    if (hz !== null && ownHz !== null) {
      sum += 12 * Math.log2(hz / ownHz);
      count += 1;
    }
  }
  close();
  return [xs, ys];
}

/** uPlot draws across gaps and cuts the line out again, which leaves slivers of steep ones on both sides. */
function strokes(plot: uPlot, series: number, from: number, to: number): uPlot.Series.Paths {
  const stroke = new Path2D();
  let drawing = false;
  for (let index = from; index <= to; index += 1) {
    const st = plot.data[series]?.[index] ?? null;
    if (st !== null) {
      const [x, y] = [plot.valToPos(plot.data[0][index] ?? 0, "x", true), plot.valToPos(st, "y", true)];
      if (!drawing) stroke.moveTo(x, y); // to itself a line is a dot
      stroke.lineTo(x, y);
    }
    drawing = st !== null;
  }
  return { stroke };
}

export function Ribbon({ store, labels }: { store: LiveStore; labels: boolean }) {
  const box = useRef<HTMLDivElement>(null);
  const page = useContext(Page);
  useEffect(() => {
    const into = box.current;
    if (!into) return undefined;
    const course = () => columns(store, into.clientWidth / POINT_PX);
    const colour = (name: string) => () => getComputedStyle(into).getPropertyValue(name).trim();
    const lost = (plot: uPlot) => {
      // Where sound did not arrive: that is no silence, and is hatched so that nobody takes it for one.
      const { ctx, bbox } = plot;
      ctx.save();
      ctx.fillStyle = colour("--pause")();
      for (const [startS, endS] of store.lost) {
        const left = Math.max(plot.valToPos(startS - store.tMs / 1000, "x", true), bbox.left);
        const right = Math.min(plot.valToPos(endS - store.tMs / 1000, "x", true), bbox.left + bbox.width);
        for (let x = left; x < right; x += 6 * uPlot.pxRatio) ctx.fillRect(x, bbox.top, Math.min(3 * uPlot.pxRatio, right - x), bbox.height);
      }
      ctx.restore();
    };
    const plot = new uPlot(
      {
        width: into.clientWidth,
        height: into.clientHeight,
        legend: { show: false },
        cursor: { show: false },
        padding: [6, 0, 6, 0],
        scales: { x: { time: false, range: [-OVER_S, 0] }, y: { range: [-HALF_ST, HALF_ST] } },
        axes: [
          { show: false },
          {
            show: true,
            size: labels ? 30 : 0,
            gap: 4,
            font: "12px Inter, system-ui, sans-serif",
            stroke: colour("--soft"),
            splits: SPLITS,
            values: (_, splits) => (labels ? splits.map((st) => (st > 0 ? `+${st}` : printed(st, 0))) : []),
            grid: { stroke: colour("--line"), width: 1 },
            ticks: { show: false },
          },
        ],
        series: [{}, { stroke: colour("--accent"), width: 3, cap: "round", points: { show: false }, paths: strokes }],
        hooks: { drawAxes: [lost] },
      },
      course(),
      into,
    );
    const draw = () => {
      const { clientWidth: width, clientHeight: height } = into;
      if (width !== plot.width || height !== plot.height) plot.setSize({ width, height });
      plot.setData(course(), false);
      plot.redraw(true, true); // its colours follow the scheme
    };
    const stop = paced(store, page, FAST_MS, draw);
    // Also while nothing comes.
    const resized = new ResizeObserver(draw);
    resized.observe(into);
    const scheme = matchMedia("(prefers-color-scheme: dark)");
    scheme.addEventListener("change", draw);
    return () => {
      stop();
      resized.disconnect();
      scheme.removeEventListener("change", draw);
      plot.destroy();
    };
  }, [store, page, labels]);
  return <div class="ribbon" ref={box} aria-hidden="true" />;
}

export function Pitch({ store }: { store: LiveStore }) {
  usePaced(store, SLOW_MS);
  const { ownHz } = store;
  return (
    <figure class="pitch">
      <figcaption>
        <b>Pitch</b> <span>{ownHz === null ? "" : `semitones around your median of ${printed(ownHz, 0)} Hz`}</span>
      </figcaption>
      <Ribbon store={store} labels />
      <p class="ends" aria-hidden="true">
        <span>{OVER_S} s ago</span>
        <span>now</span>
      </p>
    </figure>
  );
}
