# Ends TLS before an index of the tests. Words: the certificate with its key, the authority of client certificates (or nothing), the port
# of the index. It prints its own port.
import socket
import ssl
import sys
import threading

certificate, clients, index = sys.argv[1:]
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(certificate)
if clients:
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_verify_locations(clients)


def secured(connection):
    client = context.wrap_socket(connection, server_side=True, do_handshake_on_connect=False)
    try:
        client.do_handshake()
    except ssl.SSLError:
        # The alert is lost if the connection is closed before the client has read it.
        raw = socket.socket(fileno=client.detach())
        raw.shutdown(socket.SHUT_WR)
        while raw.recv(1 << 16):
            pass
        raise
    return client


def serve(connection):
    try:
        # One question for each connection, as the index has it. Two threads must not share a connection of TLS.
        with secured(connection) as client, socket.create_connection(("127.0.0.1", int(index))) as behind:
            question = b""
            while not question.endswith(b"\r\n\r\n"):
                question += client.recv(1 << 16) or exit()
            behind.sendall(question)
            while data := behind.recv(1 << 16):
                client.sendall(data)
            client.unwrap()
    except OSError:
        pass


listener = socket.create_server(("127.0.0.1", 0))
print(listener.getsockname()[1], flush=True)
while True:
    threading.Thread(target=serve, args=(listener.accept()[0],), daemon=True).start()
