// SPDX-License-Identifier: GPL-2.0
/*
 * Unix sockets, dump side. Everything is known from outside: sock_diag tells name, peer and state,
 * the duplicate tells options, and unread data is peeked at.
 *
 * Both ends of a connection must be in the tree. Which inodes the tree holds, and which clients
 * wait in some listener's backlog (they have no peer yet), is looked up once, at the first unix
 * socket.
 */
#include <linux/sockios.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "kinds/external.h"
#include "kinds/families.h"
#include "kinds/fown.h"
#include "kinds/own_fd.h"
#include "kinds/sockets/sk_opts.h"
#include "kinds/sockets/unix.h"
#include "util/log.h"

/* Columns of the kind's slots. */
enum { SLOT_SCANNED, SLOT_IN_TREE, SLOT_WAITS_FOR, SLOT_OUTSIDE };

static uint32_t slot_value(struct dump *dump, uint32_t ino, uint64_t column)
{
	return files_dump_get(dump, &unix_kind, ino, column);
}

static int set_slot(struct dump *dump, uint32_t ino, uint64_t column, uint32_t number)
{
	return files_dump_set(dump, &unix_kind, ino, column, number);
}

/* ---- what is in the tree ------------------------------------------------- */

static int note_socket(struct dump *dump, const struct task *task, const char *number,
		       const char *link)
{
	unsigned int ino;

	if (sscanf(link, "socket:[%u]", &ino) != 1)
		return 0;
	return set_slot(dump, ino, SLOT_IN_TREE, 1);
}

static int note_waiting(const struct unix_info *info, void *arg)
{
	int ret = 0;

	for (size_t i = 0; !ret && i < info->nr_waiting; i++) {
		if (info->waiting[i])
			ret = set_slot(arg, info->waiting[i], SLOT_WAITS_FOR, info->ino);
	}
	return ret;
}

static int scan_once(struct dump *dump)
{
	int ret;

	if (slot_value(dump, 0, SLOT_SCANNED))
		return 0;
	ret = files_dump_each_link(dump, note_socket);
	if (ret)
		return ret;
	ret = unix_diag_each(1 << UNIX_STATE_LISTEN, note_waiting, dump);
	if (ret)
		return log_ret(ret, "unix sockets: ask sock_diag for listening sockets");
	return set_slot(dump, 0, SLOT_SCANNED, 1);
}

/* ---- names --------------------------------------------------------------- */

/* A relative name was relative to the cwd of bind(2): most likely still the task's. If the file is
 * not there, it counts as unlinked, and any directory will do. */
static int dump_directory(const struct fd_probe *probe, UnixSkEntry *usk)
{
	char link[40], path[4096];
	ssize_t len;

	snprintf(link, sizeof(link), "/proc/%d/cwd", probe->task->host_pid);
	len = readlink(link, path, sizeof(path) - 1);
	if (len <= 0)
		return -errno;
	path[len] = '\0';
	usk->name_dir = strdup(path);
	return usk->name_dir ? 0 : -ENOMEM;
}

static int dump_path(const struct fd_probe *probe, const struct unix_info *info, UnixSkEntry *usk)
{
	char name[UNIX_NAME_MAX + 1] = "", path[UNIX_NAME_MAX + 64];
	struct stat st;
	bool is_there;
	int ret = 0;

	memcpy(name, info->name, info->name_len);
	snprintf(path, sizeof(path), "/proc/%d/%s/%s", probe->task->host_pid,
		 name[0] == '/' ? "root" : "cwd", name);
	is_there = !lstat(path, &st) && unix_info_is_bound_to(info, &st);
	if (name[0] != '/') {
		ret = dump_directory(probe, usk);
		if (ret)
			return log_ret(ret, "task %d: read the cwd link", probe->task->pid);
	}
	if (!is_there) {
		usk->has_deleted = usk->deleted = true;
		if (fstat(probe->fd, &st))
			return -errno;
		st.st_mode = (st.st_mode & ~S_IFMT) | S_IFSOCK;
	}
	usk->file_perms = message_new(FilePermsEntry, file_perms_entry);
	if (!usk->file_perms)
		return -ENOMEM;
	usk->file_perms->mode = st.st_mode;
	usk->file_perms->uid = st.st_uid;
	usk->file_perms->gid = st.st_gid;
	return 0;
}

static int copy_name(const struct unix_info *info, UnixSkEntry *usk)
{
	usk->name.data = malloc(info->name_len + 1);
	if (!usk->name.data)
		return -ENOMEM;
	memcpy(usk->name.data, info->name, info->name_len);
	usk->name.len = info->name_len;
	return 0;
}

static int dump_name(const struct fd_probe *probe, const struct unix_info *info, UnixSkEntry *usk)
{
	int ret = copy_name(info, usk);

	if (!ret && info->name_len && info->name[0])
		ret = dump_path(probe, info, usk);
	return ret;
}

/* ---- peers --------------------------------------------------------------- */

static bool may_leave_outside(const struct dump *dump, uint32_t ino)
{
	char key[32];

	snprintf(key, sizeof(key), "unix[%u]", ino);
	return dump->opts->ext_unix_sk || external_is_named(dump->opts, key);
}

/* The entry of a socket that is not ours: so that a datagram socket finds it by name again. */
static int write_outside(struct dump *dump, const struct unix_info *peer)
{
	FownEntry fown = FOWN_ENTRY__INIT;
	SkOptsEntry opts = SK_OPTS_ENTRY__INIT;
	UnixSkEntry usk = UNIX_SK_ENTRY__INIT;
	FileEntry entry = FILE_ENTRY__INIT;

	if (slot_value(dump, peer->ino, SLOT_OUTSIDE))
		return 0;
	entry.type = FD_TYPES__UNIXSK;
	entry.id = usk.id = files_dump_new_id(dump);
	entry.usk = &usk;
	usk.ino = peer->ino;
	usk.type = peer->type;
	usk.state = UNIX_STATE_LISTEN;
	usk.uflags = UNIX_USED_OUTSIDE;
	usk.fown = &fown;
	usk.opts = &opts;
	usk.name.data = (uint8_t *)peer->name;
	usk.name.len = peer->name_len;
	return set_slot(dump, peer->ino, SLOT_OUTSIDE, 1) ?: files_dump_entry(dump, &entry);
}

static int check_outside(struct dump *dump, const struct fd_probe *probe,
			 const struct unix_info *info)
{
	struct unix_info peer;
	int ret = unix_diag_get(info->peer, &peer);

	if (ret)
		return log_ret(ret,
			       "task %d: fd %d: unix socket: ask sock_diag for the peer, inode %u",
			       probe->task->pid, probe->number, info->peer);
	unix_info_free(&peer);
	if (info->type != SOCK_DGRAM)
		return log_ret(
			-EOPNOTSUPP,
			"task %d: fd %d: unix socket is connected to %s (inode %u), which is "
			"outside the tree: a stream cannot be cut in half",
			probe->task->pid, probe->number,
			unix_name_text(peer.name, peer.name_len).text, info->peer);
	if (!peer.name_len || !may_leave_outside(dump, info->peer))
		return log_ret(
			-EOPNOTSUPP,
			"task %d: fd %d: unix datagram socket is connected to %s (inode %u), "
			"which is outside the tree; use --ext-unix-sk or --external unix[%u] to "
			"connect to it again by name",
			probe->task->pid, probe->number,
			unix_name_text(peer.name, peer.name_len).text, info->peer, info->peer);
	return write_outside(dump, &peer);
}

/* A client that was not accepted yet: its listener becomes the peer in the image. */
static int find_listener(struct dump *dump, const struct fd_probe *probe, struct unix_info *info)
{
	uint32_t listener = slot_value(dump, info->ino, SLOT_WAITS_FOR);
	int sent = 0;

	if (!listener)
		return 0;
	if (ioctl(probe->fd, SIOCOUTQ, &sent) || sent)
		return log_ret(
			-EOPNOTSUPP,
			"task %d: fd %d: unix socket has sent data on a connection that is not "
			"accepted yet",
			probe->task->pid, probe->number);
	info->peer = listener;
	return 0;
}

/* Who waits to be accepted must be ours, too: the others would wait for ever, or their data be
 * lost. */
static int check_backlog(struct dump *dump, const struct fd_probe *probe,
			 const struct unix_info *info)
{
	for (size_t i = 0; i < info->nr_waiting; i++) {
		if (info->waiting[i] && slot_value(dump, info->waiting[i], SLOT_IN_TREE))
			continue;
		return log_ret(-EOPNOTSUPP,
			       "task %d: fd %d: listening unix socket %s has a connection nobody "
			       "accepted yet, from %s",
			       probe->task->pid, probe->number,
			       unix_name_text(info->name, info->name_len).text,
			       info->waiting[i] ? "outside the tree" : "a client that closed it");
	}
	return 0;
}

static int resolve_peer(struct dump *dump, const struct fd_probe *probe, struct unix_info *info)
{
	int ret;

	if (!info->peer && info->type != SOCK_DGRAM && info->state == UNIX_STATE_ESTABLISHED) {
		ret = find_listener(dump, probe, info);
		if (ret)
			return ret;
	}
	if (!info->peer || slot_value(dump, info->peer, SLOT_IN_TREE))
		return 0;
	return check_outside(dump, probe, info);
}

/* ---- the socket ---------------------------------------------------------- */

static void dump_shutdown(const struct unix_info *info, UnixSkEntry *usk)
{
	usk->has_shutdown = info->shutdown;
	usk->shutdown = info->shutdown; /* bit 0 receive, bit 1 send: the image's values */
}

static int fill(struct dump *dump, const struct fd_probe *probe, const struct unix_info *info,
		UnixSkEntry *usk)
{
	int ret = fown_dump(dump, probe, &usk->fown);

	usk->ino = info->ino;
	usk->type = info->type;
	usk->state = info->state;
	usk->flags = probe->flags;
	usk->backlog = info->queue[1];
	usk->peer = info->peer;
	usk->has_ns_id = sk_net_ns_id(dump, &usk->ns_id);
	dump_shutdown(info, usk);
	ret = ret ?: sk_opts_dump(probe, &usk->opts);
	return ret ?: dump_name(probe, info, usk);
}

static int dump_known(struct dump *dump, const struct fd_probe *probe, struct unix_info *info,
		      FileEntry *entry)
{
	UnixSkEntry *usk;
	int ret;

	if (info->type != SOCK_STREAM && info->type != SOCK_DGRAM && info->type != SOCK_SEQPACKET)
		return log_ret(-EOPNOTSUPP, "task %d: fd %d: unix socket of type %u",
			       probe->task->pid, probe->number, info->type);
	ret = resolve_peer(dump, probe, info) ?: check_backlog(dump, probe, info);
	if (ret)
		return ret;
	usk = message_new(UnixSkEntry, unix_sk_entry);
	if (!usk)
		return -ENOMEM;
	entry->usk = usk;
	usk->id = entry->id;
	ret = fill(dump, probe, info, usk);
	if (ret || info->state == UNIX_STATE_LISTEN)
		return ret;
	return unix_queue_dump(dump, probe, entry->id, info->type);
}

int unix_dump(struct dump *dump, const struct fd_probe *probe, FileEntry *entry)
{
	struct unix_info info;
	int ret = scan_once(dump);

	if (ret)
		return ret;
	ret = unix_diag_get(probe->st.st_ino, &info);
	if (ret == -ENOENT) {
		/* Never bound and never connected sockets are known to sock_diag too; not finding
		 * one means that it lives in another network namespace. */
		return log_ret(
			-EOPNOTSUPP,
			"task %d: fd %d: unix socket (inode %lu) of another network namespace",
			probe->task->pid, probe->number, probe->st.st_ino);
	}
	if (ret)
		return log_ret(ret, "task %d: fd %d: unix socket: ask sock_diag", probe->task->pid,
			       probe->number);
	ret = dump_known(dump, probe, &info, entry);
	unix_info_free(&info);
	return ret;
}
