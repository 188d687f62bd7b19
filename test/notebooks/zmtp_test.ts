/** The ZMTP framing and handshake, against bytes of RFC 23 and a small server. */
import assert from "node:assert/strict";
import { createServer, type Socket } from "node:net";
import { connectZmtp, createFrameReader, encodeFrame, type ZmtpSocket } from "../../lib/notebook/zmtp.ts";

const bytes = (length: number, fill = 7): Uint8Array => new Uint8Array(length).fill(fill);

Deno.test("encodeFrame() writes one length byte up to 255 and eight above", () => {
  assert.deepEqual([...encodeFrame(bytes(255)).subarray(0, 3)], [0, 255, 7]);
  assert.deepEqual([...encodeFrame(bytes(256)).subarray(0, 10)], [2, 0, 0, 0, 0, 0, 0, 1, 0, 7]);
  assert.equal(encodeFrame(bytes(1), { command: true, more: true })[0], 5);
});

Deno.test("createFrameReader() gives the same frames wherever the stream is cut", () => {
  const sent = [bytes(0), bytes(3, 1), bytes(300, 2), bytes(70_000, 3)];
  const stream = sent.map((body, index) => [...encodeFrame(body, { more: index < 3 })]).flat();
  for (const step of [1, 2, 9, 64, 1000, stream.length]) {
    const read = createFrameReader();
    const frames = [];
    for (let at = 0; at < stream.length; at += step) {
      frames.push(...read(Uint8Array.from(stream.slice(at, at + step))));
    }
    assert.deepEqual(frames.map(({ body }) => body), sent, `steps of ${step}`);
    assert.deepEqual(frames.map(({ more }) => more), [true, true, true, false]);
  }
});

Deno.test("createFrameReader() refuses unknown flags and absurd lengths", () => {
  assert.throws(() => createFrameReader()(Uint8Array.of(8, 0)), /flags are 8/);
  assert.throws(
    () => createFrameReader()(Uint8Array.of(2, 1, 0, 0, 0, 0, 0, 0, 0)),
    /at most 1073741824 bytes/,
  );
});

/** A server that greets with `mechanism` and hands over what the client sends. */
async function withServer(
  mechanism: string,
  act: (port: number, received: () => number[], peer: () => Socket) => Promise<void>,
): Promise<void> {
  const received: number[] = [];
  const peers: Socket[] = [];
  const server = createServer((socket) => {
    peers.push(socket);
    const greeting = new Uint8Array(64);
    greeting.set([0xff, 0, 0, 0, 0, 0, 0, 0, 0, 0x7f, 3, 1]);
    greeting.set(new TextEncoder().encode(mechanism), 12);
    socket.write(greeting);
    socket.write(encodeFrame(Uint8Array.of(5, ...new TextEncoder().encode("READY")), { command: true }));
    socket.on("data", (chunk) => received.push(...chunk));
    socket.on("error", () => {});
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  try {
    await act(
      typeof address === "object" && address ? address.port : 0,
      () => received,
      () => peers[0] as Socket,
    );
  } finally {
    peers.forEach((socket) => socket.destroy());
    await new Promise((resolve) => server.close(resolve));
  }
}

async function until(condition: () => boolean): Promise<void> {
  for (let wait = 0; wait < 400 && !condition(); wait++) {
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  assert.ok(condition(), "nothing came within 2 s");
}

Deno.test("connectZmtp() greets, subscribes, receives whole messages and hears the end", async () => {
  await withServer("NULL", async (port, received, peer) => {
    const messages: string[][] = [];
    const ends: string[] = [];
    const socket = await connectZmtp({
      port,
      type: "SUB",
      onMessage: (frames) => messages.push(frames.map((frame) => new TextDecoder().decode(frame))),
      onClose: (reason) => ends.push(reason.message),
    });
    await until(() => received().slice(-3).join() === "0,1,1"); // a message of one byte: subscribe to everything
    assert.equal(new TextDecoder().decode(Uint8Array.from(received().slice(12, 16))), "NULL");
    const text = (part: string, more: boolean): Uint8Array =>
      encodeFrame(new TextEncoder().encode(part), { more });
    peer().write(text("topic", true));
    peer().write(text("body", false));
    await until(() => messages.length === 1);
    assert.deepEqual(messages, [["topic", "body"]]);
    peer().destroy();
    await until(() => ends.length === 1);
    socket.close();
  });
});

Deno.test("connectZmtp() rejects when the peer wants another mechanism or nobody listens", async () => {
  const connect = (port: number): Promise<ZmtpSocket> =>
    connectZmtp({ port, type: "DEALER", onMessage: () => {}, onClose: () => {} });
  let free = 0;
  await withServer("PLAIN", async (port) => {
    free = port;
    await assert.rejects(connect(port), /mechanism "PLAIN", expected 3 and "NULL"/);
  });
  await assert.rejects(connect(free), /ECONNREFUSED|refused/i);
});
