/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The RPC of criu: a SOCK_SEQPACKET connection whose packets are criu_req and criu_resp. `swrk FD`
 * serves one that it was given, `service` listens and serves each in a child.
 */
#ifndef RPC_RPC_H
#define RPC_RPC_H

#include "options/options.h"
#include "rpc.pb-c.h"

/* Serves requests on fd (borrowed) until the client is done or gone. 0 or -errno, logged. */
int rpc_serve(int fd);
/* Listens on opts->address (default /var/run/criu_service.socket); -d, --pidfile and --status-fd as
 * elsewhere. Returns only on failure or when told to stop by SIGTERM. */
int rpc_service(const struct options *opts);

/* ---- inside rpc/ -------------------------------------------------------- */

enum { RPC_PACKET_MAX = 1 << 16 };

/* rpc/wire.c. -ECONNRESET (not logged): the client is gone. *out: criu_req__free_unpacked. */
int rpc_receive(int fd, CriuReq **out);
int rpc_send(int fd, const CriuResp *resp);

/*
 * rpc/options.c. Fills *opts (initialised) from a request: through the same table as the command
 * line, then from its config_file or the default ones, which win. client: whose descriptor numbers
 * images_dir_fd and work_dir_fd are. Descriptors put into *opts are ours to close. 0 or -errno,
 * logged.
 */
int rpc_options(const CriuOpts *msg, pid_t client, struct options *opts);

/* rpc/notify.c: a stage_hook that asks the client; ctx is a pointer to the connection's descriptor.
 */
int rpc_notify(void *ctx, const char *stage, pid_t pid);

#endif
