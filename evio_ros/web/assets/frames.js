// Binary frames of the live streams, as evio_ros.web.column_frame tells them, and the sockets.
"use strict";

(() => {
  const KINDS = {
    "<f8": Float64Array, "<f4": Float32Array, "<u4": Uint32Array, "<i4": Int32Array,
    "<u2": Uint16Array, "|u1": Uint8Array, "|b1": Uint8Array,
  };

  /** Header and columns; each column is a view into the message, not a copy. */
  evio.decodeFrame = (buffer) => {
    const length = new DataView(buffer).getUint32(0, true);
    const header = JSON.parse(new TextDecoder().decode(new Uint8Array(buffer, 4, length)));
    const columns = {};
    for (const { name, dtype, offset } of header.columns) {
      columns[name] = new KINDS[dtype](buffer, 4 + length + offset, header.rows);
    }
    return { header, columns };
  };

  /** A stream that connects again when it ends, later and later. */
  evio.stream = (path, take, told) => {
    let wait = 250;
    let socket = null;
    function open() {
      socket = new WebSocket(evio.socketAddress(path));
      socket.binaryType = "arraybuffer";
      socket.onopen = () => { wait = 250; told?.(true); };
      socket.onmessage = (message) => take(evio.decodeFrame(message.data));
      socket.onclose = () => {
        told?.(false);
        setTimeout(open, wait);
        wait = Math.min(wait * 2, 5000);
      };
    }
    open();
    return { close: () => { socket.onclose = null; socket.close(); } };
  };
})();
