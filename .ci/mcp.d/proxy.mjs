// A port of this host that leads to a Unix socket. Says which.
import net from "node:net";

const [socket] = process.argv.slice(2);
const server = net.createServer((near) => {
  const far = net.connect(socket);
  near.pipe(far).pipe(near);
  near.on("error", () => far.destroy());
  far.on("error", () => near.destroy());
  near.on("close", () => far.destroy());
});
server.listen(0, "127.0.0.1", () => console.log(server.address().port));
