// SPDX-License-Identifier: GPL-2.0
#include "migrate/forward.h"

#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "migrate/link.h"
#include "options/options.h"
#include "options/table.h"
#include "util/log.h"
#include "util/scope.h"

/* Rows of the table that set a member; sent when it is not what it is without them. */
static const char *const forwarded[] = {
	"shell-job",
	"tcp-close",
	"tcp-established",
	"skip-in-flight",
	"link-remap",
	"file-locks",
	"evasive-devices",
	"skip-file-rwx-check",
	"weak-sysctls",
	"inherit-fd",
	"external",
	"skip-mnt",
	"root",
	"lsm-profile",
	"lsm-mount-context",
	"cgroup-root",
	"ext-unix-sk",
	"source-timeout",
	"record-working-set",
	"tls",
	"tls-no-cn-verify",
	"tls-cacert",
	"tls-cacrl",
	"tls-cert",
	"tls-key",
	"ghost-limit",
	"join-ns",
	"cgroup-yard",
	"timeout",
	"log-pid",
};

static int send_option(struct link *link, const char *name, const char *value)
{
	scoped_free char *text = NULL;
	int len = asprintf(&text, "%s%c%s", name, 0, value ? value : "");

	if (len < 0)
		return -ENOMEM;
	if (len > MIGRATE_RECORD_MAX)
		return log_ret(-E2BIG, "--%s: too long", name);
	return link_send(link, MIGRATE_OPTION, text, value ? (size_t)len : strlen(name));
}

static int send_number(struct link *link, const char *name, uint64_t number)
{
	char text[24];

	snprintf(text, sizeof(text), "%" PRIu64, number);
	return send_option(link, name, text);
}

static int send_list(struct link *link, const char *name, const struct string_list *list)
{
	int ret = 0;

	for (size_t i = 0; !ret && i < list->count; i++)
		ret = send_option(link, name, list->items[i]);
	return ret;
}

static int send_row(struct link *link, const struct option_spec *spec, const void *member)
{
	switch (spec->type) {
	case OPTION_FLAG:
		return *(const bool *)member ? send_option(link, spec->name, NULL) : 0;
	case OPTION_STRING:
		return *(char *const *)member
			       ? send_option(link, spec->name, *(char *const *)member)
			       : 0;
	case OPTION_LIST:
		return send_list(link, spec->name, member);
	case OPTION_UINT:
		return send_number(link, spec->name, *(const unsigned int *)member);
	case OPTION_SIZE:
		return send_number(link, spec->name, *(const uint64_t *)member);
	default:
		return 0;
	}
}

static bool is_forwarded(const char *name)
{
	for (size_t i = 0; i < sizeof(forwarded) / sizeof(forwarded[0]); i++) {
		if (!strcmp(forwarded[i], name))
			return true;
	}
	return false;
}

static int send_rows(struct link *link, const struct options *opts)
{
	int ret = 0;

	for (size_t i = 0; !ret && i < option_count; i++) {
		const struct option_spec *spec = &option_table[i];

		if (is_forwarded(spec->name))
			ret = send_row(link, spec, (const char *)opts + spec->offset);
	}
	return ret;
}

/* NAME, NAME VALUE or NAME=VALUE; NAME may have its dashes. */
static int send_remote_option(struct link *link, const char *text)
{
	const char *name = text + strspn(text, "-");
	size_t len = strcspn(name, " =");
	scoped_free char *copy = strndup(name, len);

	if (!copy)
		return -ENOMEM;
	return send_option(link, copy, name[len] ? name + len + 1 : NULL);
}

int forward_options(struct link *link, const struct options *opts, const char *host, uint16_t port)
{
	static const char *const compress[] = { "auto", "lz4", "none" };
	int ret = send_rows(link, opts);

	if (!ret)
		ret = send_number(link, "verbosity", opts->verbosity);
	if (!ret)
		ret = send_option(link, "compress", compress[opts->compress]);
	if (!ret && opts->file_validation)
		ret = send_option(link, "file-validation", opts->file_validation);
	if (!ret)
		ret = send_option(link, "address", host);
	if (!ret)
		ret = send_number(link, "port", port);
	for (size_t i = 0; !ret && i < opts->remote_options.count; i++)
		ret = send_remote_option(link, opts->remote_options.items[i]);
	return ret;
}

int forward_apply(struct options *opts, const char *bytes, size_t len)
{
	size_t name_len = strnlen(bytes, len);
	const struct option_spec *spec;
	bool negated;

	if (option_find(bytes, name_len, &spec, &negated))
		return log_ret(-EINVAL, "option --%.*s: not known at the destination",
			       (int)name_len, bytes);
	return option_apply(opts, spec, name_len < len ? bytes + name_len + 1 : NULL, negated,
			    "migrate");
}
