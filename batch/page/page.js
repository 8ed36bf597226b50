(() => {
  "use strict";
  const figures = JSON.parse(document.getElementById("figures").textContent);
  const audio = document.getElementById("sound");
  const plot = document.getElementById("plot");
  const overview = document.getElementById("overview");
  const calm = matchMedia("(prefers-reduced-motion: reduce)");
  const lengthS = Math.max(figures.duration_ms / 1000, 0.001);

  // A loop: Uint8Array.from with a function takes 0.2 s longer for ten minutes of sound.
  function bytes(text) {
    const letters = atob(text);
    const found = new Uint8Array(letters.length);
    for (let i = 0; i < letters.length; i += 1) found[i] = letters.charCodeAt(i);
    return found;
  }

  const peaks = bytes(figures.peaks);
  const pitch = bytes(figures.pitch);
  const stepS = figures.step_ms / 1000;
  const offsetS = figures.offset_ms / 1000;
  const clamp = (value, low, high) => Math.min(Math.max(value, low), high);

  function clock(atS, tenths) {
    const whole = Math.floor(atS + 1e-6);
    const two = (n) => String(n).padStart(2, "0");
    const hours = Math.floor(whole / 3600);
    const minutes = Math.floor(whole / 60) % 60;
    const rest = tenths ? (atS - Math.floor(atS / 60) * 60).toFixed(1).padStart(4, "0") : two(whole % 60);
    return hours ? `${hours}:${two(minutes)}:${rest}` : `${minutes}:${rest}`;
  }

  // Sound. A blob can be sought in by every browser; a data URI only by some.
  if (audio.src.startsWith("data:")) {
    audio.src = URL.createObjectURL(new Blob([bytes(audio.src.slice(audio.src.indexOf(",") + 1))], { type: "audio/mpeg" }));
  }
  audio.controls = false;
  audio.hidden = true;
  document.querySelector(".controls").hidden = false;
  const play = document.getElementById("play");
  const seek = document.getElementById("seek");
  const now = document.getElementById("now");
  const speed = document.getElementById("speed");
  let stopAtS = null; // where a moment that is being played ends
  let chosen = null; // that moment, in milliseconds, and its button

  function start() {
    audio.play().catch((error) => {
      // The browser may refuse without a gesture, or a jump may cut in before the sound began: both leave the player paused.
      if (error.name !== "NotAllowedError" && error.name !== "AbortError") throw error;
    });
  }

  function choose(moment) {
    if (chosen) chosen.button.classList.remove("on");
    chosen = moment;
    stopAtS = moment ? Math.min(moment.toS + 0.6, lengthS) : null;
    if (moment) moment.button.classList.add("on");
  }

  function goTo(atS) {
    choose(null);
    audio.currentTime = clamp(atS, 0, lengthS);
    shown(audio.currentTime, true);
  }

  function playMoment(button) {
    const moment = { button, fromS: button.dataset.from / 1000, toS: button.dataset.to / 1000 };
    choose(moment);
    audio.currentTime = Math.max(0, moment.fromS - 0.8);
    reveal(moment.fromS, moment.toS);
    shown(audio.currentTime, true);
    start();
  }

  function toggle() {
    if (audio.paused) {
      if (audio.currentTime >= lengthS - 0.05) goTo(0);
      start();
    } else {
      audio.pause();
    }
  }

  play.addEventListener("click", toggle);
  seek.addEventListener("input", () => goTo(Number(seek.value)));
  speed.addEventListener("click", () => {
    const rates = [1, 1.25, 1.5, 0.5, 0.75];
    audio.playbackRate = rates[(rates.indexOf(audio.playbackRate) + 1) % rates.length];
    speed.textContent = `${audio.playbackRate}×`;
    speed.setAttribute("aria-label", `Speed ${speed.textContent}`);
  });
  for (const event of ["play", "pause", "ended"]) {
    audio.addEventListener(event, () => {
      play.classList.toggle("playing", !audio.paused);
      play.setAttribute("aria-label", audio.paused ? "Play" : "Pause");
      if (!audio.paused) requestAnimationFrame(tick);
    });
  }
  audio.addEventListener("seeked", () => shown(audio.currentTime, false));

  function tick() {
    if (stopAtS !== null && audio.currentTime >= stopAtS) {
      audio.pause();
      choose(null);
      draw();
    }
    shown(audio.currentTime, true);
    if (!audio.paused) requestAnimationFrame(tick);
  }

  // Transcript
  const transcript = document.getElementById("transcript");
  const words = [...transcript.querySelectorAll(".w")];
  let current = -1; // word being heard
  let focused = 0; // word that Tab reaches

  function wordAt(atMs) {
    let low = 0;
    let high = figures.words.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (figures.words[middle][0] <= atMs) low = middle + 1;
      else high = middle;
    }
    return low && atMs < figures.words[low - 1][1] ? low - 1 : -1;
  }

  function highlight(index) {
    if (index === current) return;
    if (current >= 0) words[current].classList.remove("now");
    current = index;
    if (index < 0) return;
    words[index].classList.add("now");
    if (audio.paused || !transcript.classList.contains("long")) return;
    const box = transcript.getBoundingClientRect();
    const word = words[index].getBoundingClientRect();
    if (word.top < box.top || word.bottom > box.bottom - 40) {
      transcript.scrollBy({ top: word.top - box.top - box.height / 3, behavior: calm.matches ? "auto" : "smooth" });
    }
  }

  function reach(index) {
    if (!words.length) return;
    for (const name of ["tabindex", "role"]) words[focused].removeAttribute(name);
    focused = clamp(index, 0, words.length - 1);
    words[focused].tabIndex = 0;
    words[focused].setAttribute("role", "button");
  }
  reach(0);

  function hear(index) {
    reach(index);
    goTo(figures.words[index][0] / 1000);
    reveal(figures.words[index][0] / 1000, figures.words[index][1] / 1000);
    start();
  }

  transcript.addEventListener("click", (event) => {
    const word = event.target.closest(".w");
    if (word) hear(words.indexOf(word));
    const at = event.target.closest(".at");
    if (at) hear(Number(at.dataset.word));
  });
  transcript.addEventListener("keydown", (event) => {
    if (!event.target.classList.contains("w")) return;
    const steps = { ArrowRight: 1, ArrowLeft: -1, ArrowDown: 10, ArrowUp: -10 };
    if (event.key in steps) {
      reach(focused + steps[event.key]);
      words[focused].focus();
    } else if (event.key === "Enter" || event.key === " ") {
      hear(focused);
    } else {
      return;
    }
    event.preventDefault();
  });
  document.addEventListener("click", (event) => {
    const place = event.target.closest(".place");
    if (place) playMoment(place);
    const course = event.target.closest(".course");
    if (course) {
      const box = course.getBoundingClientRect();
      const atS = ((event.clientX - box.left) / box.width) * lengthS;
      goTo(atS);
      reveal(atS, atS);
    }
  });
  document.addEventListener("keydown", (event) => {
    if (event.key === " " && event.target === document.body) {
      event.preventDefault();
      toggle();
    }
  });

  // Timeline
  const left = 46;
  const right = 14;
  const lane = { said: 8, wave: 30, waveEnd: 126, pitch: 146, pitchEnd: 256, pace: 280, paceEnd: 336, axis: 358, height: 368 };
  const overviewHeight = 46;
  const shortestViewS = Math.min(2, lengthS);
  let fromS = 0;
  let toS = 0; // fit() chooses the first view
  let width = 0;
  let playhead = null;
  let overviewHead = null;
  let overviewWindow = null;

  function element(name, attributes, text) {
    const made = document.createElementNS("http://www.w3.org/2000/svg", name);
    for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
    if (text !== undefined) made.textContent = text;
    return made;
  }

  const x = (atS) => left + ((atS - fromS) / (toS - fromS)) * (width - left - right);
  const timeAt = (px) => fromS + ((px - left) / (width - left - right)) * (toS - fromS);

  /** Outline of the peaks between two times, one column a pixel, mirrored around a middle line. */
  function outline(beginS, endS, x0, x1, middle, half) {
    const columns = Math.max(1, Math.round(x1 - x0));
    const top = [];
    const bottom = [];
    for (let column = 0; column < columns; column += 1) {
      const first = Math.floor((beginS + ((endS - beginS) * column) / columns) / stepS);
      const last = Math.max(first + 1, Math.floor((beginS + ((endS - beginS) * (column + 1)) / columns) / stepS));
      // A column of many steps shows their power: the largest of them is about the same everywhere.
      let largest = 0;
      let power = 0;
      for (let i = Math.max(0, first); i < last && i < peaks.length; i += 1) {
        largest = Math.max(largest, peaks[i]);
        power += peaks[i] * peaks[i];
      }
      const peak = last - first > 8 ? Math.min(255, 1.6 * Math.sqrt(power / (last - first))) : largest;
      const height = Math.max(0.5, (peak / 255) * half);
      const at = (x0 + column + 0.5).toFixed(1);
      top.push(`${at} ${(middle - height).toFixed(1)}`);
      bottom.push(`${at} ${(middle + height).toFixed(1)}`);
    }
    return `M${top.join("L")}L${bottom.reverse().join("L")}Z`;
  }

  // The pitch lane holds all but the outermost 1 % of the voiced steps, at least an octave.
  const semitones = Array.from(pitch.filter((code) => code), (code) => (code - 128) / 5).sort((a, b) => a - b);
  const outer = semitones.length ? Math.max(-semitones[Math.floor(semitones.length * 0.01)], semitones[Math.floor(semitones.length * 0.99)]) : 6;
  const spanSt = clamp(Math.ceil(outer / 2) * 2, 6, 18);
  const pitchY = (st) => (lane.pitch + lane.pitchEnd) / 2 - (clamp(st, -spanSt, spanSt) / spanSt) * ((lane.pitchEnd - lane.pitch) / 2);

  function pitchPath(beginS, endS) {
    const stride = Math.max(1, Math.floor((endS - beginS) / stepS / 1600));
    const parts = [];
    let open = false;
    let before = 0;
    const first = Math.max(0, Math.floor((beginS - offsetS) / stepS));
    for (let i = first; i < pitch.length && offsetS + i * stepS <= endS; i += stride) {
      if (!pitch[i]) {
        open = false;
        continue;
      }
      const st = (pitch[i] - 128) / 5;
      // A jump of more than 5 semitones between steps is a new phrase or an octave error, not a glide: draw no line across it.
      if (open && stride === 1 && Math.abs(st - before) > 5) open = false;
      const at = `${x(offsetS + (i + 0.5) * stepS).toFixed(1)} ${pitchY(st).toFixed(1)}`;
      parts.push(open ? `L${at}` : `M${at}h.1`);
      open = true;
      before = st;
    }
    return parts.join("");
  }

  const rates = figures.pace.filter((stretch) => stretch[2] !== null).map((stretch) => stretch[2]);
  const slowest = rates.length ? Math.floor((Math.min(...rates) - 10) / 50) * 50 : 0;
  const fastest = rates.length ? Math.ceil((Math.max(...rates) + 10) / 50) * 50 : 200;
  const paceY = (wpm) => lane.paceEnd - ((wpm - slowest) / (fastest - slowest)) * (lane.paceEnd - lane.pace);

  /** Middle in seconds and rate of each stretch; in a wide view the means of neighbours, so that the line stays a line. */
  function pacePoints() {
    const visible = between(figures.pace).length;
    const each = Math.max(1, Math.ceil(visible / 150));
    const points = [];
    for (let first = 0; first < figures.pace.length; first += each) {
      const group = figures.pace.slice(first, first + each);
      const present = group.filter((stretch) => stretch[2] !== null);
      const middleS = (group[0][0] + group[group.length - 1][1]) / 2000;
      points.push([middleS, present.length ? present.reduce((sum, stretch) => sum + stretch[2], 0) / present.length : null]);
    }
    return points;
  }

  function between(spans) {
    return spans.filter(([begin, end]) => end / 1000 >= fromS && begin / 1000 <= toS);
  }

  /** All spans of a kind as boxes of one path: thousands of elements would make a wide view slow. */
  function boxes(className, spans, y, height, least) {
    const d = spans.map(([beginMs, endMs]) => {
      const begin = clamp(x(beginMs / 1000), left, width - right);
      const wide = Math.max(clamp(x(endMs / 1000), left, width - right) - begin, least).toFixed(1);
      return `M${begin.toFixed(1)} ${y}h${wide}v${height}h-${wide}z`;
    });
    return element("path", { class: className, d: d.join("") });
  }

  const pen = document.createElement("canvas").getContext("2d");

  function draw() {
    if (!width) return;
    const drawn = [];
    const edge = width - right;
    // axis
    const steps = [0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600];
    const tickS = steps.find((step) => (step / (toS - fromS)) * (edge - left) >= 64) || 3600;
    for (let at = Math.ceil(fromS / tickS) * tickS; at <= toS + 1e-6; at += tickS) {
      const px = x(at).toFixed(1);
      drawn.push(element("line", { class: "grid", x1: px, x2: px, y1: lane.wave, y2: lane.paceEnd }));
      drawn.push(element("text", { x: px, y: lane.axis, "text-anchor": edge - px < 20 ? "end" : "middle" }, clock(at, tickS < 1)));
    }
    // sound
    const waveHeight = lane.waveEnd - lane.wave;
    const pxPerS = (edge - left) / (toS - fromS);
    const least = pxPerS >= 5 ? 2 : 0.2; // far out, a box as wide as it is: hundreds of widened ones would cover all
    const fillers = between(figures.fillers);
    drawn.push(boxes("pause", between(figures.pauses), lane.wave, waveHeight, least / 2));
    drawn.push(boxes("lost", between(figures.lost), lane.wave, waveHeight, 1));
    drawn.push(boxes("filler", fillers, lane.wave, waveHeight, least));
    drawn.push(boxes("filler-top", fillers, lane.wave - 3, 3, 2));
    drawn.push(element("path", { class: "wave", d: outline(fromS, toS, left, edge, (lane.wave + lane.waveEnd) / 2, waveHeight / 2 - 3) }));
    drawn.push(boxes("disfluency", between(figures.disfluencies), lane.waveEnd, 3, 2));
    // words, where there is room for them; fillers have the right of way
    pen.font = "500 12px Inter, sans-serif";
    const taken = [];
    const label = (text, [beginMs, endMs], className) => {
      const half = pen.measureText(text).width / 2 + 2;
      const middle = x((beginMs + endMs) / 2000);
      if (middle - half < left || middle + half > edge || taken.some(([a, b]) => middle + half > a && middle - half < b)) return;
      taken.push([middle - half, middle + half]);
      drawn.push(element("text", { class: className, x: middle.toFixed(1), y: lane.said + 12 }, text));
    };
    if (pxPerS >= 5) for (const span of fillers) label(span[2].replace(/[.,!?…]+$/, ""), span, "said filler");
    if (pxPerS >= 55) {
      for (let i = 0; i < words.length; i += 1) {
        const span = figures.words[i];
        if (span[1] / 1000 >= fromS && span[0] / 1000 <= toS && !words[i].classList.contains("filler")) label(words[i].textContent, span, "said");
      }
    }
    // pitch
    const marks = spanSt > 12 ? [-12, 0, 12] : spanSt > 6 ? [-spanSt + (spanSt % 4 ? 2 : 0), 0, spanSt - (spanSt % 4 ? 2 : 0)] : [-6, 0, 6];
    for (const st of marks) {
      drawn.push(element("line", { class: st ? "grid" : "middle", x1: left, x2: edge, y1: pitchY(st), y2: pitchY(st) }));
      const name = st ? `${st > 0 ? "+" : "−"}${Math.abs(st)} st` : figures.median_hz ? `${Math.round(figures.median_hz)} Hz` : "";
      drawn.push(element("text", { x: left - 7, y: pitchY(st) + 4, "text-anchor": "end" }, name));
    }
    drawn.push(element("path", { class: "pitch", d: pitchPath(fromS, toS) }));
    if (figures.median_hz === null) drawn.push(element("text", { x: left + 8, y: pitchY(0) - 6 }, "No voiced sound found."));
    // pace
    drawn.push(element("line", { class: "rule", x1: left, x2: edge, y1: lane.paceEnd, y2: lane.paceEnd }));
    if (rates.length) {
      for (const wpm of [slowest, fastest]) drawn.push(element("text", { x: left - 7, y: paceY(wpm) + 4, "text-anchor": "end" }, String(wpm)));
      let path = "";
      let open = false;
      const shownPace = pacePoints();
      shownPace.forEach(([atS, wpm], i) => {
        const near = (other) => other && other[0] >= fromS && other[0] <= toS;
        if (wpm === null) {
          open = false;
        } else if (near(shownPace[i - 1]) || near(shownPace[i]) || near(shownPace[i + 1])) {
          path += `${open ? "L" : "M"}${x(atS).toFixed(1)} ${paceY(wpm).toFixed(1)}`;
          open = true;
          if (near(shownPace[i]) && shownPace.length < 60) drawn.push(element("circle", { class: "pace", cx: x(atS).toFixed(1), cy: paceY(wpm).toFixed(1), r: 2.5 }));
        }
      });
      drawn.push(element("path", { class: "pace", d: path, "clip-path": "url(#lanes)" }));
    } else {
      drawn.push(element("text", { x: left + 8, y: lane.paceEnd - 10 }, "Too little speech to tell the pace."));
    }
    if (chosen) drawn.push(boxes("chosen", between([[chosen.fromS * 1000, chosen.toS * 1000]]), lane.wave - 3, waveHeight + 6, 3));
    const clip = element("clipPath", { id: "lanes" });
    clip.append(element("rect", { x: left, y: 0, width: Math.max(0, edge - left), height: lane.height }));
    playhead = element("line", { class: "playhead", y1: lane.wave - 6, y2: lane.paceEnd });
    plot.replaceChildren(clip, ...drawn, playhead);

    const a = overX(fromS);
    const b = overX(toS);
    overviewWindow.setAttribute("visibility", toS - fromS < lengthS ? "visible" : "hidden");
    overviewWindow.setAttribute("x", a.toFixed(1));
    overviewWindow.setAttribute("width", Math.max(6, b - a).toFixed(1));
    zoomButtons.in.disabled = toS - fromS <= shortestViewS;
    zoomButtons.out.disabled = zoomButtons.all.disabled = toS - fromS >= lengthS;
    placeHeads(audio.currentTime);
  }

  const overX = (atS) => left + (atS / lengthS) * (width - left - right);
  const overTime = (px) => ((px - left) / (width - left - right)) * lengthS;

  function drawOverview() {
    const edge = width - right;
    const drawn = [element("path", { class: "wave", d: outline(0, lengthS, left, edge, overviewHeight / 2, 15) })];
    const ticks = figures.fillers.map(([begin]) => `M${overX(begin / 1000).toFixed(1)} 3h1.5v4h-1.5z`);
    drawn.push(element("path", { class: "filler-top", d: ticks.join("") }));
    overviewWindow = element("rect", { class: "window", y: 1.5, height: overviewHeight - 4, rx: 4 });
    overviewHead = element("line", { class: "playhead", y1: 2, y2: overviewHeight - 2 });
    overview.replaceChildren(...drawn, overviewWindow, overviewHead);
  }

  function placeHeads(atS) {
    if (!playhead) return;
    const inside = atS >= fromS && atS <= toS;
    playhead.setAttribute("visibility", inside ? "visible" : "hidden");
    for (const end of ["x1", "x2"]) {
      playhead.setAttribute(end, x(atS).toFixed(1));
      overviewHead.setAttribute(end, overX(atS).toFixed(1));
    }
  }

  function view(beginS, endS) {
    const spanS = clamp(endS - beginS, shortestViewS, lengthS);
    fromS = clamp(beginS, 0, lengthS - spanS);
    toS = fromS + spanS;
    draw();
  }

  function zoom(factor, aroundS) {
    const spanS = clamp((toS - fromS) * factor, shortestViewS, lengthS);
    const share = (aroundS - fromS) / (toS - fromS);
    view(aroundS - share * spanS, aroundS - share * spanS + spanS);
  }

  function reveal(beginS, endS) {
    const spanS = toS - fromS;
    if (beginS < fromS || endS > toS) view((beginS + endS - spanS) / 2, (beginS + endS + spanS) / 2);
    else draw();
  }

  function shown(atS, follow) {
    now.textContent = clock(atS);
    seek.value = atS;
    seek.style.setProperty("--at", `${(100 * clamp(atS / lengthS, 0, 1)).toFixed(2)}%`);
    seek.setAttribute("aria-valuetext", `${clock(atS)} of ${clock(lengthS)}`);
    highlight(wordAt(atS * 1000));
    if (follow && !audio.paused && (atS > toS || atS < fromS)) view(atS - 0.05 * (toS - fromS), atS + 0.95 * (toS - fromS));
    placeHeads(atS);
  }

  const zoomButtons = { in: document.getElementById("zoom-in"), out: document.getElementById("zoom-out"), all: document.getElementById("zoom-all") };
  const middleOfInterest = () => (audio.currentTime >= fromS && audio.currentTime <= toS ? audio.currentTime : (fromS + toS) / 2);
  zoomButtons.in.addEventListener("click", () => zoom(0.5, middleOfInterest()));
  zoomButtons.out.addEventListener("click", () => zoom(2, middleOfInterest()));
  zoomButtons.all.addEventListener("click", () => view(0, lengthS));
  plot.addEventListener("keydown", (event) => {
    const spanS = toS - fromS;
    if (event.key === "ArrowRight") view(fromS + spanS / 4, toS + spanS / 4);
    else if (event.key === "ArrowLeft") view(fromS - spanS / 4, toS - spanS / 4);
    else if (event.key === "+" || event.key === "=") zoom(0.5, middleOfInterest());
    else if (event.key === "-") zoom(2, middleOfInterest());
    else if (event.key === "Enter") {
      goTo(fromS);
      start();
    } else return;
    event.preventDefault();
  });
  plot.addEventListener(
    "wheel",
    (event) => {
      const spanS = toS - fromS;
      if (event.ctrlKey || event.metaKey) {
        zoom(Math.exp(event.deltaY * 0.004), timeAt(event.offsetX));
      } else if (Math.abs(event.deltaX) > Math.abs(event.deltaY)) {
        view(fromS + (event.deltaX / width) * spanS, toS + (event.deltaX / width) * spanS);
      } else {
        return;
      }
      event.preventDefault();
    },
    { passive: false },
  );

  /** Pointer gestures: `moved` while dragging, `clicked` where it hardly moved. */
  function gestures(area, begun, moved, clicked) {
    area.addEventListener("pointerdown", (down) => {
      if (down.button) return;
      const startedAt = begun(down.offsetX);
      let dragged = false;
      area.setPointerCapture(down.pointerId);
      const move = (event) => {
        if (Math.abs(event.clientX - down.clientX) > 4) dragged = true;
        if (dragged) moved(startedAt, event.clientX - down.clientX);
      };
      const up = (event) => {
        area.removeEventListener("pointermove", move);
        area.removeEventListener("pointerup", up);
        area.removeEventListener("pointercancel", up);
        if (!dragged && event.type === "pointerup") clicked(down.offsetX);
      };
      area.addEventListener("pointermove", move);
      area.addEventListener("pointerup", up);
      area.addEventListener("pointercancel", up);
    });
  }
  gestures(
    plot,
    () => fromS,
    (startedS, px) => {
      const spanS = toS - fromS;
      const begin = startedS - (px / (width - left - right)) * spanS;
      view(begin, begin + spanS);
    },
    (px) => goTo(timeAt(px)),
  );
  gestures(
    overview,
    (px) => {
      const atS = overTime(px);
      const spanS = toS - fromS;
      if (atS < fromS || atS > toS) view(atS - spanS / 2, atS + spanS / 2);
      return fromS;
    },
    (startedS, px) => {
      const spanS = toS - fromS;
      const begin = startedS + (px / (width - left - right)) * lengthS;
      view(begin, begin + spanS);
    },
    (px) => goTo(overTime(px)),
  );

  const readout = document.getElementById("readout");
  plot.addEventListener("pointermove", (event) => {
    const atS = timeAt(event.offsetX);
    if (atS < fromS || atS > toS) {
      readout.textContent = "";
      return;
    }
    const parts = [clock(atS, true)];
    const code = pitch[Math.floor((atS - offsetS) / stepS)];
    if (code) {
      const st = (code - 128) / 5;
      parts.push(`${st < 0 ? "−" : "+"}${Math.abs(st).toFixed(1)} st, ${Math.round(figures.median_hz * 2 ** (st / 12))} Hz`);
    }
    const word = wordAt(atS * 1000);
    if (word >= 0) parts.push(`“${words[word].textContent}”`);
    readout.textContent = parts.join("  ·  ");
  });
  plot.addEventListener("pointerleave", () => {
    readout.textContent = "";
  });

  function fit() {
    const wide = plot.clientWidth;
    if (wide === width || !wide) return;
    width = wide;
    if (!toS) toS = clamp(width / 22, 8, Math.max(lengthS, 0.001));
    plot.setAttribute("height", lane.height);
    overview.setAttribute("height", overviewHeight);
    drawOverview();
    draw();
  }
  new ResizeObserver(fit).observe(plot);
  document.fonts.ready.then(draw); // labels are measured, and the fonts may come after the first drawing
  fit();
  shown(0, false);

  // Paper shows everything: the whole recording, and what is folded.
  let folded = [];
  let viewed = null;
  addEventListener("beforeprint", () => {
    folded = [...document.querySelectorAll("details:not([open])")];
    for (const details of folded) details.open = true;
    viewed = [fromS, toS];
    plot.setAttribute("viewBox", `0 0 ${width} ${lane.height}`);
    view(0, lengthS);
  });
  addEventListener("afterprint", () => {
    for (const details of folded) details.open = false;
    plot.removeAttribute("viewBox");
    if (viewed) view(...viewed);
  });
})();
