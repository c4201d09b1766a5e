/* front/socket.h - options and states of sockets. Any thread. */
#pragma once

/* What accepted sockets inherit: dead and stuck peers are ended by the kernel. On a unix socket it means nothing. */
void socket_tune_listener(int fd);
int socket_peer_is_there(int fd);               /* the connection stands, in both directions */
int socket_limit(int wanted, int reserve);      /* WANTED, or the descriptor limit less RESERVE where that is smaller */
