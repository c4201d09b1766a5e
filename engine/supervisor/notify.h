/* supervisor/notify.h - tell systemd how we are (sd_notify(3)): a datagram to $NOTIFY_SOCKET, nothing where there is none. */
#pragma once

void notify_systemd(const char *state);         /* "READY=1\nSTATUS=…" */
