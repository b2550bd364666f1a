"""Ports of this machine: which are free, and which process listens on one."""

import http.client
import socket

import psutil


def is_free(address: str, port: int) -> bool:
    """Can a server listen there?"""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((address, port))
        except OSError:
            return False
    return True


def listens(pid: int, port: int) -> bool:
    """Is it this process that listens there? False too when it has ended."""
    try:
        sockets = psutil.Process(pid).net_connections("tcp")
    except psutil.NoSuchProcess:
        return False
    return any(
        each.status == psutil.CONN_LISTEN and each.laddr and each.laddr.port == port
        for each in sockets
    )


def answers(address: str, port: int, path: str) -> bool:
    """Does a GET of `path` come back with 200 within two seconds?"""
    connection = http.client.HTTPConnection(address, port, timeout=2)
    try:
        connection.request("GET", path)
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
