// SPDX-License-Identifier: GPL-2.0
/*
 * Unix sockets, restore side; all in the root task.
 *
 *   pair     both ends of a connection are in the images: opened together. Where an end has a name
 *            (it was accepted, and got the listener's), a listener of that name is made, connected
 *            to, and closed: there is no other way to share a name.
 *   orphan   established, but the peer is gone: a pair whose other end is closed.
 *   single   unconnected, bound, listening; or a datagram socket connected to a bound one, or a
 *            client in a listener's backlog: these need the other opened first.
 *   outside  not of the tree; just a name to connect to.
 *
 * Who was accepted comes before whoever is bound to the name for good.
 */
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "kinds/families.h"
#include "kinds/own_fd.h"
#include "kinds/sockets/sk_opts.h"
#include "kinds/sockets/unix.h"
#include "util/bisect.h"
#include "util/log.h"
#include "util/scope.h"

/* Hung on object->priv. */
struct unix_object {
	struct file_object *peer; /* in the images, or NULL */
	int file;		  /* O_PATH on the bound file; -1 */
};

static struct unix_table *table_of(struct restore *restore)
{
	return *file_table_priv(restore->files, &unix_kind);
}

static const UnixSkEntry *entry_of(const struct file_object *object)
{
	return object->entry->usk;
}

static struct unix_object *priv_of(const struct file_object *object)
{
	return object->priv;
}

static bool is_outside(const UnixSkEntry *usk)
{
	return usk->uflags & UNIX_USED_OUTSIDE;
}

static bool has_name(const UnixSkEntry *usk, const uint8_t *name, size_t len)
{
	return len && usk->name.len == len && !memcmp(usk->name.data, name, len);
}

/* ---- plan ---------------------------------------------------------------- */

static int compare_ino(const void *a, const void *b)
{
	uint32_t left = entry_of(*(struct file_object *const *)a)->ino;
	uint32_t right = entry_of(*(struct file_object *const *)b)->ino;

	return left < right ? -1 : left > right;
}

static struct file_object *find_ino(const struct unix_table *table, uint32_t ino)
{
	size_t at = bisect(table->nr_sockets, i, entry_of(table->by_ino[i])->ino >= ino);

	if (at == table->nr_sockets || entry_of(table->by_ino[at])->ino != ino)
		return NULL;
	return table->by_ino[at];
}

static int index_sockets(struct restore *restore, struct unix_table *table)
{
	struct file_object *object = NULL;
	size_t count = 0;

	while ((object = file_table_next(restore->files, object)))
		count += object->ops == &unix_kind && object->entry->usk;
	table->by_ino = calloc(count + 1, sizeof(struct file_object *));
	if (!table->by_ino)
		return -ENOMEM;
	while ((object = file_table_next(restore->files, object))) {
		if (object->ops == &unix_kind && object->entry->usk)
			table->by_ino[table->nr_sockets++] = object;
	}
	if (count)
		qsort(table->by_ino, count, sizeof(struct file_object *), compare_ino);
	return 0;
}

static int unix_plan(struct restore *restore)
{
	struct unix_table *table = calloc(1, sizeof(*table));

	if (!table)
		return -ENOMEM;
	*file_table_priv(restore->files, &unix_kind) = table;
	return index_sockets(restore, table) ?: unix_queue_load(restore, table);
}

static bool may_connect_outside(const struct options *opts)
{
	for (size_t i = 0; i < opts->external.count; i++) {
		if (!strncmp(opts->external.items[i], "unix[", 5))
			return true;
	}
	return opts->ext_unix_sk;
}

static int check_entry(struct restore *restore, const struct file_object *object)
{
	const UnixSkEntry *usk = entry_of(object);

	if (usk->name.len > UNIX_NAME_MAX)
		return log_ret(-EBADMSG, "unix socket %#x: name of %zu bytes", object->id,
			       usk->name.len);
	if (usk->uflags & ~UNIX_USED_OUTSIDE)
		return log_ret(-EOPNOTSUPP, "unix socket %#x: flags %#x are not supported",
			       object->id, usk->uflags);
	if (usk->type != SOCK_STREAM && usk->type != SOCK_DGRAM && usk->type != SOCK_SEQPACKET)
		return log_ret(-EBADMSG, "unix socket %#x: type %u", object->id, usk->type);
	if (is_outside(usk) && !may_connect_outside(restore->opts))
		return log_ret(
			-EOPNOTSUPP,
			"unix socket %#x: connected to %s outside the tree; use --ext-unix-sk "
			"to connect to it again",
			object->id, unix_name_text(usk->name.data, usk->name.len).text);
	return 0;
}

/* Is the peer connected to us as well, so that both ends are made at once? */
static bool is_pair(const struct file_object *object)
{
	const struct file_object *peer = priv_of(object)->peer;

	return peer && peer != object && entry_of(peer)->peer == entry_of(object)->ino &&
	       !is_outside(entry_of(peer)) && entry_of(peer)->type == entry_of(object)->type;
}

static int check_peer(const struct file_object *object)
{
	const UnixSkEntry *usk = entry_of(object);
	const struct file_object *peer = priv_of(object)->peer;

	if (!usk->peer)
		return 0;
	if (!peer)
		return log_ret(-EBADMSG,
			       "unix socket %#x: its peer (inode %u) is not in the images",
			       object->id, usk->peer);
	if (is_pair(object))
		return 0;
	if (!entry_of(peer)->name.len || (usk->type != SOCK_DGRAM && !is_outside(entry_of(peer)) &&
					  entry_of(peer)->state != UNIX_STATE_LISTEN))
		return log_ret(
			-EOPNOTSUPP,
			"unix socket %#x: connected to socket %#x, which has no name or does "
			"not listen",
			object->id, peer->id);
	return 0;
}

static int unix_collect(struct restore *restore, struct file_object *object)
{
	struct unix_object *priv = calloc(1, sizeof(*priv));
	int ret;

	if (!priv)
		return -ENOMEM;
	object->priv = priv;
	priv->file = -1;
	ret = check_entry(restore, object);
	if (ret)
		return ret;
	if (entry_of(object)->peer)
		priv->peer = find_ino(table_of(restore), entry_of(object)->peer);
	return 0;
}

static int need_accepted(struct restore *restore, struct file_object *object)
{
	const struct unix_table *table = table_of(restore);
	const UnixSkEntry *usk = entry_of(object);

	for (size_t i = 0; i < table->nr_sockets; i++) {
		const struct file_object *other = table->by_ino[i];
		int ret;

		if (other == object || !is_pair(other) || entry_of(other)->type == SOCK_DGRAM ||
		    !has_name(entry_of(other), usk->name.data, usk->name.len))
			continue;
		ret = file_table_need(restore->files, object, other->id);
		if (ret)
			return ret;
	}
	return 0;
}

/* What travels to us must be open before us; for a pair, before either end. */
static int need_travellers(struct restore *restore, struct file_object *object, uint32_t receiver)
{
	size_t count;
	const struct unix_packet *packets = unix_queue_find(table_of(restore), receiver, &count);

	for (size_t i = 0; i < count; i++) {
		for (size_t k = 0; k < packets[i].nr_rights; k++) {
			int ret = file_table_need(restore->files, object, packets[i].rights[k]);

			if (ret)
				return ret;
		}
	}
	return 0;
}

static int unix_depends(struct restore *restore, struct file_object *object)
{
	const UnixSkEntry *usk = entry_of(object);
	const struct unix_object *priv = priv_of(object);
	int ret = check_peer(object) ?: need_travellers(restore, object, object->id);

	if (!ret && is_pair(object))
		ret = need_travellers(restore, object, priv->peer->id);
	if (ret)
		return ret;
	if (priv->peer && priv->peer != object && !is_pair(object)) {
		ret = file_table_need(restore->files, object, priv->peer->id);
		if (ret)
			return ret;
	}
	return usk->name.len && !is_pair(object) && !is_outside(usk)
		       ? need_accepted(restore, object)
		       : 0;
}

/* ---- open ---------------------------------------------------------------- */

static int new_socket(const struct file_object *object, int *fd)
{
	const UnixSkEntry *usk = entry_of(object);

	*fd = socket(AF_UNIX, usk->type | SOCK_CLOEXEC, 0);
	if (*fd < 0)
		return log_errno("unix socket %#x: create", object->id);
	return sk_opts_restore_early(*fd, "unix socket", object->id, usk->opts);
}

static int bind_name(const struct file_object *object, int fd, bool is_temporary)
{
	const UnixSkEntry *usk = entry_of(object);
	int ret;

	if (!usk->name.len)
		return 0;
	ret = unix_name_bind(usk, fd, is_temporary, is_temporary ? NULL : &priv_of(object)->file);
	if (ret)
		return log_ret(ret, "unix socket %#x: bind to %s", object->id,
			       unix_name_text(usk->name.data, usk->name.len).text);
	return 0;
}

/* Options, shutdown and flags: when data is in place. */
static int finish_socket(const struct file_object *object, int fd)
{
	const UnixSkEntry *usk = entry_of(object);
	int how = usk->has_shutdown ? sk_shutdown_how(usk->shutdown) : -1;
	int ret = sk_opts_restore(fd, "unix socket", object->id, usk->opts);

	if (ret)
		return ret;
	if (how >= 0 && shutdown(fd, how) && errno != ENOTCONN)
		return log_errno("unix socket %#x: shut down", object->id);
	if (own_fd_set_flags(fd, usk->flags))
		return log_errno("unix socket %#x: set flags %#x", object->id, usk->flags);
	return 0;
}

/* fds[1] is the accepted end, with the name of `accepted`. */
static int connect_pair(const struct file_object *client, const struct file_object *accepted,
			int fds[2])
{
	const UnixSkEntry *usk = entry_of(accepted);
	scoped_fd int listener = -1;
	int file = -1, ret = new_socket(accepted, &listener);

	if (!ret)
		ret = new_socket(client, &fds[0]);
	if (!ret)
		ret = bind_name(client, fds[0], false);
	if (ret)
		return ret;
	ret = unix_name_bind(usk, listener, true, &file);
	scoped_fd int owned = file;
	if (!ret && listen(listener, 1))
		ret = -errno;
	ret = ret ?: unix_name_connect(usk, fds[0], owned);
	if (ret)
		return log_ret(ret, "unix socket %#x: connect to a listener at %s", client->id,
			       unix_name_text(usk->name.data, usk->name.len).text);
	fds[1] = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
	return fds[1] < 0 ? log_errno("unix socket %#x: accept", accepted->id) : 0;
}

/* Was it accepted, rather than bound by its owner? Then a listener or a sibling has its name. */
static bool shares_name(const struct unix_table *table, const struct file_object *object)
{
	const UnixSkEntry *usk = entry_of(object);

	for (size_t i = 0; i < table->nr_sockets; i++) {
		if (table->by_ino[i] != object &&
		    has_name(entry_of(table->by_ino[i]), usk->name.data, usk->name.len))
			return true;
	}
	return false;
}

/* fds[0] becomes a, fds[1] becomes b. */
static int make_pair(const struct unix_table *table, const struct file_object *a,
		     const struct file_object *b, int fds[2])
{
	bool a_named = entry_of(a)->name.len, b_named = entry_of(b)->name.len;
	int swapped[2] = { -1, -1 }, ret;

	if (entry_of(a)->type == SOCK_DGRAM || (!a_named && !b_named)) {
		if (socketpair(AF_UNIX, entry_of(a)->type | SOCK_CLOEXEC, 0, fds))
			return log_errno("unix sockets %#x and %#x: create a pair", a->id, b->id);
		ret = bind_name(a, fds[0], false);
		return ret ?: bind_name(b, fds[1], false);
	}
	if (b_named && !(a_named && shares_name(table, a)))
		return connect_pair(a, b, fds);
	ret = connect_pair(b, a, swapped);
	fds[0] = swapped[1];
	fds[1] = swapped[0];
	return ret;
}

static int open_pair(struct restore *restore, struct file_object *a, int *fd)
{
	const struct unix_table *table = table_of(restore);
	struct file_object *b = priv_of(a)->peer;
	int fds[2] = { -1, -1 };
	int ret = make_pair(table, a, b, fds);
	scoped_fd int end_a = fds[0];
	scoped_fd int end_b = fds[1];

	ret = ret ?: unix_queue_send(restore, table, a, end_b);
	ret = ret ?: unix_queue_send(restore, table, b, end_a);
	ret = ret ?: finish_socket(a, end_a);
	ret = ret ?: finish_socket(b, end_b);
	if (ret)
		return ret;
	b->master = take_fd(&end_b);
	*fd = take_fd(&end_a);
	return 0;
}

static int open_orphan(struct restore *restore, struct file_object *object, int *fd)
{
	struct file_object gone = *object; /* plays the peer; without a name */
	UnixSkEntry usk = UNIX_SK_ENTRY__INIT;
	FileEntry entry = *object->entry;
	int fds[2] = { -1, -1 }, ret;

	usk.type = entry_of(object)->type;
	usk.opts = entry_of(object)->opts;
	entry.usk = &usk;
	gone.entry = &entry;
	ret = make_pair(table_of(restore), object, &gone, fds);
	scoped_fd int end = fds[0];
	scoped_fd int other = fds[1];
	ret = ret ?: unix_queue_send(restore, table_of(restore), object, other);
	if (ret)
		return ret;
	close(take_fd(&other));
	ret = finish_socket(object, end);
	if (!ret)
		*fd = take_fd(&end);
	return ret;
}

/* A socket of the datagram's sender's name, or without one. */
static int make_sender(const struct unix_packet *packet, int *fd)
{
	UnixSkEntry usk = UNIX_SK_ENTRY__INIT;

	*fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (*fd < 0)
		return -errno;
	if (!packet->sender)
		return 0;
	usk.name.data = packet->sender;
	usk.name.len = packet->sender_len;
	/* Its owner may have the name already: better without than not at all. */
	if (unix_name_bind(&usk, *fd, true, NULL))
		log_debug("unix socket %#x: a datagram's sender stays unnamed", packet->id);
	return 0;
}

static int send_datagrams(struct restore *restore, const struct file_object *object)
{
	size_t count;
	const struct unix_packet *packets = unix_queue_find(table_of(restore), object->id, &count);

	for (size_t i = 0; i < count; i++) {
		scoped_fd int sender = -1;
		int ret = make_sender(&packets[i], &sender);

		ret = ret ?: unix_name_connect(entry_of(object), sender, priv_of(object)->file);
		if (ret)
			return log_ret(ret, "unix socket %#x: send its unread datagrams again",
				       object->id);
		ret = unix_queue_send_one(restore, &packets[i], sender);
		if (ret)
			return ret;
	}
	return 0;
}

static int connect_single(const struct file_object *object, int fd)
{
	const struct file_object *peer = priv_of(object)->peer;
	const UnixSkEntry *usk;
	int ret;

	if (!peer)
		return 0;
	usk = entry_of(peer);
	ret = unix_name_connect(usk, fd, priv_of(peer)->file);
	if (ret)
		return log_ret(ret, "unix socket %#x: connect to %s", object->id,
			       unix_name_text(usk->name.data, usk->name.len).text);
	return 0;
}

static int open_single(struct restore *restore, struct file_object *object, int *fd)
{
	const UnixSkEntry *usk = entry_of(object);
	scoped_fd int sock = -1;
	int ret = new_socket(object, &sock);

	ret = ret ?: bind_name(object, sock, false);
	if (!ret && usk->state == UNIX_STATE_LISTEN && listen(sock, usk->backlog))
		ret = log_errno("unix socket %#x: listen", object->id);
	/* Before connecting: a connected socket takes datagrams from its peer only. */
	if (!ret && usk->type == SOCK_DGRAM && usk->name.len)
		ret = send_datagrams(restore, object);
	ret = ret ?: connect_single(object, sock);
	ret = ret ?: finish_socket(object, sock);
	if (!ret)
		*fd = take_fd(&sock);
	return ret;
}

/* Connected once, and the peer is gone. */
static bool is_orphan(struct restore *restore, const struct file_object *object)
{
	const UnixSkEntry *usk = entry_of(object);
	size_t count;

	if (usk->peer)
		return false;
	if (usk->type != SOCK_DGRAM)
		return usk->state == UNIX_STATE_ESTABLISHED;
	/* Datagrams in a socket without a name came from one half of a pair. */
	return !usk->name.len && unix_queue_find(table_of(restore), object->id, &count);
}

static int unix_open(struct restore *restore, struct file_object *object, int *fd)
{
	if (is_outside(entry_of(object))) {
		/* Nobody holds it; the table just wants something. */
		*fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
		return *fd < 0 ? log_errno("unix socket %#x: create", object->id) : 0;
	}
	if (is_pair(object))
		return open_pair(restore, object, fd);
	if (is_orphan(restore, object))
		return open_orphan(restore, object, fd);
	return open_single(restore, object, fd);
}

/* ---- the kind ------------------------------------------------------------ */

static bool unix_detect(const struct fd_probe *probe)
{
	return S_ISSOCK(probe->st.st_mode) && !strncmp(probe->link, "socket:[", 8) &&
	       sk_get_int(probe->fd, SOL_SOCKET, SO_DOMAIN, -1) == AF_UNIX;
}

static const FownEntry *unix_fown(const struct file_object *object)
{
	return entry_of(object)->fown;
}

static void unix_free(struct file_object *object)
{
	struct unix_object *priv = priv_of(object);

	if (priv && priv->file >= 0)
		close(priv->file);
	free(priv);
}

static void unix_fini(struct restore *restore)
{
	struct unix_table *table = table_of(restore);

	if (!table)
		return;
	unix_queue_free(table);
	free(table->by_ino);
	free(table);
}

const struct kind_ops unix_kind = {
	.name = "unix socket",
	.type = FD_TYPES__UNIXSK,
	.detect = unix_detect,
	.dump = unix_dump,
	.plan = unix_plan,
	.collect = unix_collect,
	.depends = unix_depends,
	.fown = unix_fown,
	.open = unix_open,
	.free = unix_free,
	.fini = unix_fini,
};
