"use strict";
// Collects strokes or a picture, sends them to the server as an image, and shows what it answers.

const SIZE = 560, PEN = 42, SENT = 280; // pixels: the sheet, the pen's width, and the side of the image that is sent
const [sheet, drawing, pen, digit, message, bars, seen, time, file] =
  ["sheet", "drawing", "pen", "digit", "message", "bars", "seen", "time", "file"].map((id) => document.getElementById(id));
const paper = drawing.getContext("2d");
const start = message.textContent;

let strokes = []; // each a list of [x, y] in pixels of the sheet
let stroke = null; // the one that is being drawn
let picture = null; // a file that was dropped, opened or pasted; then there are no strokes
let asked = 0; // number of the newest question: answers to older ones are not shown
const cursor = { x: SIZE / 2, y: SIZE / 4, down: false }; // the pen that the keyboard moves

for (let number = 0; number < 10; number++) {
  const row = document.createElement("li");
  row.innerHTML = `<span>${number}</span><div class="track"><div class="bar"></div></div><span></span>`;
  bars.append(row);
}

function draw() {
  paper.fillStyle = "#fff";
  paper.fillRect(0, 0, SIZE, SIZE);
  paper.strokeStyle = paper.fillStyle = "#000";
  paper.lineWidth = PEN;
  paper.lineCap = paper.lineJoin = "round";
  for (const points of stroke ? [...strokes, stroke] : strokes) {
    paper.beginPath();
    paper.moveTo(...points[0]);
    for (const point of points.length > 1 ? points.slice(1) : points) paper.lineTo(...point);
    paper.stroke();
  }
  sheet.classList.toggle("used", strokes.length > 0 || stroke !== null || picture !== null);
  sheet.classList.toggle("picture", picture !== null);
}

function clear() {
  strokes = [];
  stroke = picture = null;
  cursor.down = false;
  asked++;
  draw();
  show();
}

function begin(point) {
  if (picture) clear();
  stroke = [point];
  draw();
}

function end() {
  if (!stroke) return;
  strokes.push(stroke);
  stroke = null;
  draw();
  ask();
}

function undo() {
  if (picture || strokes.length < 2) return clear();
  strokes.pop();
  draw();
  ask();
}

function drawn() {
  const small = document.createElement("canvas");
  small.width = small.height = SENT;
  const context = small.getContext("2d");
  context.imageSmoothingQuality = "high";
  context.drawImage(drawing, 0, 0, SENT, SENT);
  return new Promise((resolve) => small.toBlob(resolve, "image/png"));
}

async function ask() {
  const mine = ++asked;
  const began = performance.now();
  let answer;
  try {
    const response = await fetch("read", { method: "POST", body: picture || (await drawn()) });
    answer = await response.json();
  } catch {
    answer = { error: "The server does not answer; is mnist demo still running?" };
  }
  if (mine === asked) show(answer, performance.now() - began);
}

const percent = (share) => `${(100 * share).toFixed(1)} %`;
const length = (share) => `${100 * share}%`; // for the style sheet, which allows no space

function show(answer = {}, milliseconds = 0) {
  const { probabilities = Array(10).fill(0), error } = answer;
  digit.textContent = answer.digit ?? "";
  const note = answer.note ? `; but ${answer.note}` : "";
  message.textContent =
    error ?? ("digit" in answer ? `This is a ${answer.digit}: ${percent(answer.probability)}${note}` : start);
  message.classList.toggle("wrong", error !== undefined);
  time.textContent = "digit" in answer ? `Answered in ${milliseconds.toFixed(0)} ms.` : "";
  [...bars.children].forEach((row, number) => {
    row.classList.toggle("best", number === answer.digit);
    row.querySelector(".bar").style.width = length(probabilities[number]);
    row.lastChild.textContent = answer.probabilities ? percent(probabilities[number]) : "";
  });
  const pixels = new ImageData(28, 28);
  (answer.seen ?? Array(28 * 28).fill(0)).forEach((ink, at) => pixels.data.set([ink, ink, ink, 255], 4 * at));
  seen.getContext("2d").putImageData(pixels, 0, 0);
}

async function take(given) {
  if (!given) return;
  clear();
  picture = given;
  draw();
  ask();
  try {
    const image = await createImageBitmap(given);
    if (picture !== given) return;
    const scale = Math.min(SIZE / image.width, SIZE / image.height);
    const [width, height] = [image.width * scale, image.height * scale];
    paper.drawImage(image, (SIZE - width) / 2, (SIZE - height) / 2, width, height);
  } catch {
    // A kind of file that browsers cannot show, such as TIFF; the server may read it all the same.
    paper.fillStyle = "#000";
    paper.font = "24px system-ui, sans-serif";
    paper.fillText(given.name, 20, SIZE / 2, SIZE - 40);
  }
}

// Mouse, finger and stylus.
function place(event) {
  const box = drawing.getBoundingClientRect();
  return [(event.clientX - box.left) * (SIZE / box.width), (event.clientY - box.top) * (SIZE / box.height)];
}
drawing.addEventListener("pointerdown", (event) => {
  if (event.button !== 0 || stroke) return;
  drawing.setPointerCapture(event.pointerId);
  begin(place(event));
});
drawing.addEventListener("pointermove", (event) => {
  if (!stroke || !drawing.hasPointerCapture(event.pointerId)) return;
  const between = event.getCoalescedEvents?.() ?? [];
  for (const one of between.length ? between : [event]) stroke.push(place(one));
  draw();
});
for (const name of ["pointerup", "pointercancel"]) drawing.addEventListener(name, end);

// Keyboard.
const STEPS = { ArrowUp: [0, -1], ArrowDown: [0, 1], ArrowLeft: [-1, 0], ArrowRight: [1, 0] };
function movePen() {
  pen.style.left = length(cursor.x / SIZE);
  pen.style.top = length(cursor.y / SIZE);
  pen.classList.toggle("down", cursor.down);
}
drawing.addEventListener("keydown", (event) => {
  if (event.key in STEPS) {
    const [x, y] = STEPS[event.key].map((step) => (step * SIZE) / 28);
    cursor.x = Math.min(SIZE, Math.max(0, cursor.x + x));
    cursor.y = Math.min(SIZE, Math.max(0, cursor.y + y));
    if (cursor.down && stroke) {
      stroke.push([cursor.x, cursor.y]);
      draw();
    }
  } else if (event.key === " ") {
    const down = !cursor.down;
    if (down) begin([cursor.x, cursor.y]); // which lifts the pen if it clears a picture
    else end();
    cursor.down = down;
  } else return;
  event.preventDefault();
  movePen();
});
drawing.addEventListener("blur", () => {
  cursor.down = false;
  end();
  movePen();
});
document.addEventListener("keydown", (event) => {
  if (event.key === "Delete" || event.key === "Backspace") clear();
  else if (event.key.toLowerCase() === "z" && (event.ctrlKey || event.metaKey)) undo();
  else return;
  event.preventDefault();
  movePen();
});

// Pictures: dropped anywhere, chosen or pasted.
document.addEventListener("dragover", (event) => {
  event.preventDefault();
  sheet.classList.add("over");
});
document.addEventListener("dragleave", (event) => event.relatedTarget || sheet.classList.remove("over"));
document.addEventListener("drop", (event) => {
  event.preventDefault();
  sheet.classList.remove("over");
  take(event.dataTransfer.files[0]);
});
document.addEventListener("paste", (event) => take(event.clipboardData.files[0]));
file.addEventListener("change", () => {
  take(file.files[0]);
  file.value = "";
});
document.getElementById("open").addEventListener("click", () => file.click());
document.getElementById("erase").addEventListener("click", clear);
document.getElementById("undo").addEventListener("click", undo);

clear();
movePen();
