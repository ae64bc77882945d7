// SPDX-License-Identifier: GPL-2.0
/*
 * criu_opts to struct options. Most fields are options of the command line under another name:
 * their values go through option_apply(), so that what is refused there is refused here with the
 * same words.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "options/parse.h"
#include "options/table.h"
#include "rpc/rpc.h"
#include "util/log.h"
#include "util/scope.h"

static const char where[] = "rpc";

/* A field of the message, and the option it sets; NULL: set elsewhere, or of no concern. */
static const struct mapping {
	const char *field, *option;
} mappings[] = {
	{ "images_dir_fd", NULL },
	{ "pid", "tree" },
	{ "leave_running", "leave-running" },
	{ "leave_stopped", "leave-stopped" },
	{ "ext_unix_sk", "ext-unix-sk" },
	{ "tcp_established", "tcp-established" },
	{ "tcp_close", "tcp-close" },
	{ "tcp_skip_in_flight", "skip-in-flight" },
	{ "evasive_devices", "evasive-devices" },
	{ "shell_job", "shell-job" },
	{ "file_locks", "file-locks" },
	{ "log_level", "verbosity" },
	{ "log_file", "log-file" },
	{ "log_to_stderr", NULL },
	{ "notify_scripts", NULL },
	{ "root", "root" },
	{ "parent_img", "prev-images-dir" },
	{ "track_mem", "track-mem" },
	{ "auto_dedup", "auto-dedup" },
	{ "work_dir_fd", NULL },
	{ "link_remap", "link-remap" },
	{ "cpu_cap", NULL },
	{ "force_irmap", "force-irmap" },
	{ "manage_cgroups", "manage-cgroups" },
	{ "manage_cgroups_mode", NULL },
	{ "rst_sibling", "restore-sibling" },
	{ "skip_mnt", "skip-mnt" },
	{ "enable_fs", "enable-fs" },
	{ "ghost_limit", "ghost-limit" },
	{ "irmap_scan_paths", "irmap-scan-path" },
	{ "external", "external" },
	{ "cgroup_props", "cgroup-props" },
	{ "cgroup_props_file", "cgroup-props-file" },
	{ "cgroup_dump_controller", "cgroup-dump-controller" },
	{ "cgroup_yard", "cgroup-yard" },
	{ "freeze_cgroup", "freeze-cgroup" },
	{ "timeout", "timeout" },
	{ "weak_sysctls", "weak-sysctls" },
	{ "lazy_pages", "lazy-pages" },
	{ "status_fd", "status-fd" },
	{ "orphan_pts_master", NULL },
	{ "config_file", NULL },
	{ "lsm_profile", "lsm-profile" },
	{ "lsm_mount_context", "lsm-mount-context" },
	{ "tls", "tls" },
	{ "tls_cacert", "tls-cacert" },
	{ "tls_cacrl", "tls-cacrl" },
	{ "tls_cert", "tls-cert" },
	{ "tls_key", "tls-key" },
	{ "tls_no_cn_verify", "tls-no-cn-verify" },
	{ "pre_dump_mode", NULL },
	{ "pidfd_store_sk", NULL },
	{ "network_lock", NULL },
	{ "mntns_compat_mode", "mntns-compat-mode" },
	{ "skip_file_rwx_check", "skip-file-rwx-check" },
	{ "unprivileged", "unprivileged" },
	{ "images_dir", NULL },
	{ "display_stats", "display-stats" },
	{ "inherit_fd", NULL },
	{ "auto_ext_mnt", NULL },
	{ "ext_sharing", NULL },
	{ "ext_masters", NULL },
};

static const struct mapping *find_mapping(const char *field)
{
	for (size_t i = 0; i < sizeof(mappings) / sizeof(mappings[0]); i++)
		if (!strcmp(mappings[i].field, field))
			return &mappings[i];
	return NULL;
}

static bool is_set(const CriuOpts *msg, const ProtobufCFieldDescriptor *field)
{
	const char *base = (const char *)msg;
	const void *member = base + field->offset;

	if (field->label == PROTOBUF_C_LABEL_REPEATED)
		return *(const size_t *)(base + field->quantifier_offset);
	if (field->label == PROTOBUF_C_LABEL_REQUIRED)
		return true;
	if (field->type == PROTOBUF_C_TYPE_STRING || field->type == PROTOBUF_C_TYPE_MESSAGE)
		return *(const void *const *)member &&
		       *(const void *const *)member != field->default_value;
	return *(const protobuf_c_boolean *)(base + field->quantifier_offset);
}

/* One value as the text a user would have typed; *flag false: a bool that is off. */
static const char *value_text(const ProtobufCFieldDescriptor *field, const void *value, char *buf,
			      size_t size, bool *flag)
{
	switch (field->type) {
	case PROTOBUF_C_TYPE_BOOL:
		*flag = *(const protobuf_c_boolean *)value;
		return NULL;
	case PROTOBUF_C_TYPE_STRING:
		return *(char *const *)value;
	case PROTOBUF_C_TYPE_INT32:
		snprintf(buf, size, "%d", *(const int32_t *)value);
		return buf;
	default:
		snprintf(buf, size, "%u", *(const uint32_t *)value);
		return buf;
	}
}

static int apply_field(const CriuOpts *msg, const ProtobufCFieldDescriptor *field, const char *name,
		       struct options *opts)
{
	bool is_list = field->label == PROTOBUF_C_LABEL_REPEATED, negated, flag = true;
	const char *base = (const char *)msg;
	size_t count = is_list ? *(const size_t *)(base + field->quantifier_offset) : 1;
	const struct option_spec *spec;
	int ret = option_find(name, strlen(name), &spec, &negated);

	for (size_t i = 0; !ret && i < count; i++) {
		const void *value = is_list ? *(char **const *)(base + field->offset) + i
					    : (const void *)(base + field->offset);
		char buf[24];
		const char *text = value_text(field, value, buf, sizeof(buf), &flag);

		if (flag)
			ret = option_apply(opts, spec, text, false, where);
		else if (spec->type == OPTION_FLAG)
			ret = option_apply(opts, spec, NULL, true, where);
	}
	return ret;
}

/* Clients that fill every field send zeros for what they do not mean. */
static bool is_zero_number(const CriuOpts *msg, const ProtobufCFieldDescriptor *field)
{
	return field->label == PROTOBUF_C_LABEL_OPTIONAL &&
	       (field->type == PROTOBUF_C_TYPE_UINT32 || field->type == PROTOBUF_C_TYPE_INT32) &&
	       !*(const uint32_t *)((const char *)msg + field->offset);
}

static int apply_fields(const CriuOpts *msg, struct options *opts)
{
	const ProtobufCMessageDescriptor *type = &criu_opts__descriptor;

	for (unsigned int i = 0; i < type->n_fields; i++) {
		const ProtobufCFieldDescriptor *field = &type->fields[i];
		const struct mapping *mapping = find_mapping(field->name);
		int ret = 0;

		if (!is_set(msg, field))
			continue;
		if ((!mapping || !strcmp(field->name, "pid")) && is_zero_number(msg, field))
			continue;
		if (!mapping)
			return log_ret(-EOPNOTSUPP, "rpc: option %s is not supported yet",
				       field->name);
		if (mapping->option)
			ret = apply_field(msg, field, mapping->option, opts);
		if (ret)
			return ret;
	}
	return 0;
}

/* Numbers of descriptors are the client's. */
static int open_client_dir(pid_t client, int number, const char *what, int *out)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/fd/%d", client, number);
	*out = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return *out < 0 ? log_errno("rpc: %s directory, descriptor %d", what, number) : 0;
}

static int open_dirs(const CriuOpts *msg, pid_t client, struct options *opts)
{
	int ret = 0;

	if (msg->images_dir) {
		opts->images_dir_fd = open(msg->images_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		if (opts->images_dir_fd < 0)
			return log_errno("rpc: images directory %s", msg->images_dir);
	} else {
		ret = open_client_dir(client, msg->images_dir_fd, "images", &opts->images_dir_fd);
	}
	if (!ret && msg->has_work_dir_fd && msg->work_dir_fd >= 0)
		ret = open_client_dir(client, msg->work_dir_fd, "work", &opts->work_dir_fd);
	return ret;
}

static int add_inherited(const CriuOpts *msg, struct options *opts)
{
	const struct option_spec *spec;
	bool negated;
	int ret = option_find("inherit-fd", strlen("inherit-fd"), &spec, &negated);

	for (size_t i = 0; !ret && i < msg->n_inherit_fd; i++) {
		scoped_free char *text = NULL;

		if (asprintf(&text, "fd[%d]:%s", msg->inherit_fd[i]->fd, msg->inherit_fd[i]->key) <
		    0)
			return -ENOMEM;
		ret = option_apply(opts, spec, text, false, where);
	}
	return ret;
}

int rpc_options(const CriuOpts *msg, pid_t client, struct options *opts)
{
	int ret = open_dirs(msg, client, opts);

	if (!ret)
		ret = apply_fields(msg, opts);
	if (!ret)
		ret = add_inherited(msg, opts);
	if (ret)
		return ret;
	if (msg->has_cpu_cap)
		opts->cpu_cap = msg->cpu_cap;
	if (msg->has_manage_cgroups_mode)
		opts->manage_cgroups = msg->manage_cgroups_mode;
	if (msg->has_network_lock)
		opts->network_lock = msg->network_lock;
	/* A restore by RPC is always detached: the answer tells the pid. */
	opts->restore_detached = true;
	if (!msg->config_file)
		return options_read_default_files(opts);
	ret = options_read_file(msg->config_file, opts);
	/* Clients name a file that need not exist (runc: /etc/criu/runc.conf). */
	return ret == -ENOENT ? 0 : ret;
}
