// The drive as it comes from the server: the newest text and picture, asked for when the page is ready for them.

const RETRY = 1000; // ms until a lost socket is opened again
const PINGS = 40; // of which the fastest tells how the server's clock stands to ours
const AGAIN = 20_000; // ms until the clocks are compared again

const absolute = (t) => performance.timeOrigin + t;

// Open it. onnews(news, bitmap) is called in the frame that draws; returns press(event's time stamp).
export function openDrive(onnews) {
  let socket = null;
  let news = null; // told, and waiting for its picture
  let pong = null;

  const tell = (message) => {
    if (socket?.readyState === WebSocket.OPEN) socket.send(JSON.stringify(message));
  };

  function connect() {
    const mine = new WebSocket(`${location.origin.replace(/^http/, "ws")}/ws/drive`);
    mine.binaryType = "blob";
    socket = mine;
    mine.onopen = () => {
      tell({ type: "ready" });
      compare(mine);
    };
    mine.onmessage = ({ data }) => {
      if (typeof data !== "string") show(news, data);
      else {
        const message = JSON.parse(data);
        if (message.type === "pong") pong?.(message, absolute(performance.now()));
        else news = message;
      }
    };
    mine.onclose = () => setTimeout(connect, RETRY);
  }

  async function show(mine, data) {
    const bitmap = await createImageBitmap(data);
    requestAnimationFrame((stamp) => {
      onnews(mine, bitmap);
      bitmap.close();
      // A page that is hidden has no frames, and so asks for nothing.
      tell({ type: "ready", run: mine.run, time: mine.time, t: absolute(stamp) });
    });
  }

  async function compare(mine) {
    while (socket === mine && mine.readyState === WebSocket.OPEN) {
      const pings = [];
      while (pings.length < PINGS && mine.readyState === WebSocket.OPEN) {
        pings.push(
          await new Promise((resolve) => {
            pong = (message, received) => resolve([message.sent, message.server, received]);
            mine.addEventListener("close", () => resolve(null), { once: true });
            tell({ type: "ping", sent: absolute(performance.now()) });
          }),
        );
      }
      if (pings.every((ping) => ping !== null)) tell({ type: "clock", pings });
      await new Promise((resolve) => setTimeout(resolve, AGAIN));
    }
  }

  connect();
  return { press: (stamp) => tell({ type: "press", t: absolute(stamp) }) };
}
