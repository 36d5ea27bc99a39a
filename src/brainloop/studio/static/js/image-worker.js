// Fetches, decodes and fits images to the size at which they are shown, on a thread of its own: the thread that draws
// frames must not wait for any of it.

const AT_ONCE = 4;
const PIXELATED = 4; // enlarged more than this, an image is shown in clear pixels rather than as a blur

const queue = [];
let busy = 0;

// Message: {ids: [image id], side: pixels of the square that an image must fit}; answers: {id, bitmap} one by one,
// bitmap null where there is none.
self.onmessage = ({ data }) => {
  for (const id of data.ids) queue.push([id, data.side]);
  while (busy < AT_ONCE && queue.length > 0) work();
};

async function work() {
  busy += 1;
  while (queue.length > 0) {
    const [id, side] = queue.shift();
    let bitmap = null;
    try {
      bitmap = await load(id, side);
    } catch (error) {
      console.warn(`image ${id}: ${error}`);
    }
    self.postMessage({ id, bitmap }, bitmap === null ? [] : [bitmap]);
  }
  busy -= 1;
}

async function load(id, side) {
  const response = await fetch(`/image/${id}/stimulus`);
  if (!response.ok) throw new Error(`HTTP ${response.status}`);
  const whole = await createImageBitmap(await response.blob());
  const scale = Math.min(side / whole.width, side / whole.height);
  const fitted = await createImageBitmap(whole, {
    resizeWidth: Math.max(1, Math.round(whole.width * scale)),
    resizeHeight: Math.max(1, Math.round(whole.height * scale)),
    resizeQuality: scale > PIXELATED ? "pixelated" : "high",
  });
  whole.close();
  return fitted;
}
