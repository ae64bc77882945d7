// SPDX-License-Identifier: GPL-2.0
#include "kernel/proc_maps.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sysmacros.h>

#include "util/scope.h"

static const struct {
	char code[3];
	enum proc_vma_flag flag;
} flag_codes[] = {
	{ "mw", VMA_MAY_WRITE },  { "gd", VMA_GROWS_DOWN },   { "pf", VMA_PFNMAP },
	{ "io", VMA_IO },	  { "lo", VMA_LOCKED },	      { "lf", VMA_LOCK_ON_FAULT },
	{ "sr", VMA_SEQUENTIAL }, { "rr", VMA_RANDOM },	      { "dc", VMA_DONT_COPY },
	{ "nr", VMA_NO_RESERVE }, { "ht", VMA_HUGETLB },      { "wf", VMA_WIPE_ON_FORK },
	{ "dd", VMA_DONT_DUMP },  { "hg", VMA_HUGEPAGE },     { "nh", VMA_NO_HUGEPAGE },
	{ "mg", VMA_MERGEABLE },  { "um", VMA_UFFD },	      { "uw", VMA_UFFD },
	{ "ui", VMA_UFFD },	  { "ss", VMA_SHADOW_STACK }, { "sl", VMA_SEALED },
	{ "dp", VMA_DROPPABLE },
};

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* A number in hex at *p, which moves behind it and the separator. */
static bool take_hex(char **p, char separator, uint64_t *out)
{
	uint64_t value = 0;
	char *at = *p;

	for (int digit; (digit = hex_digit(*at)) >= 0; at++)
		value = value << 4 | (uint64_t)digit;
	if (at == *p || *at != separator)
		return false;
	*p = at + 1;
	*out = value;
	return true;
}

static uint64_t take_decimal(char **p)
{
	uint64_t value = 0;

	while (**p == ' ')
		++*p;
	for (; **p >= '0' && **p <= '9'; ++*p)
		value = value * 10 + (uint64_t)(**p - '0');
	return value;
}

static bool take_permissions(char **p, struct proc_vma *vma)
{
	const char *perms = *p;

	if (strnlen(perms, 5) < 5 || perms[4] != ' ')
		return false;
	vma->prot = (perms[0] == 'r' ? PROT_READ : 0) | (perms[1] == 'w' ? PROT_WRITE : 0) |
		    (perms[2] == 'x' ? PROT_EXEC : 0);
	vma->is_shared = perms[3] == 's';
	*p += 5;
	return true;
}

/* "7f00-7f01 rw-p 00001000 fe:00 123     /name" */
static bool parse_header(char *line, struct proc_vma *vma)
{
	uint64_t major_nr, minor_nr;

	if (!take_hex(&line, '-', &vma->start) || !take_hex(&line, ' ', &vma->end) ||
	    !take_permissions(&line, vma) || !take_hex(&line, ' ', &vma->pgoff) ||
	    !take_hex(&line, ':', &major_nr) || !take_hex(&line, ' ', &minor_nr))
		return false;
	vma->dev = makedev((unsigned int)major_nr, (unsigned int)minor_nr);
	vma->ino = take_decimal(&line);
	vma->name = line + strspn(line, " ");
	return vma->start < vma->end;
}

static void parse_flags(const char *text, struct proc_vma *vma)
{
	for (; text[0] && text[1]; text += text[2] ? 3 : 2)
		for (size_t i = 0; i < sizeof(flag_codes) / sizeof(flag_codes[0]); i++)
			if (!memcmp(text, flag_codes[i].code, 2))
				vma->flags |= flag_codes[i].flag;
}

static bool starts_with(const char *text, const char *prefix, char **rest)
{
	size_t len = strlen(prefix);

	if (strncmp(text, prefix, len))
		return false;
	*rest = (char *)text + len;
	return true;
}

static void parse_property(char *line, struct proc_vma *vma)
{
	char *value;

	if (starts_with(line, "VmFlags: ", &value))
		parse_flags(value, vma);
	else if (starts_with(line, "KernelPageSize:", &value))
		vma->page_size = take_decimal(&value) * 1024;
	else if (starts_with(line, "ProtectionKey:", &value))
		vma->pkey = (uint32_t)take_decimal(&value);
}

static int add_vma(struct proc_vmas *vmas, size_t *capacity)
{
	if (vmas->count == *capacity) {
		size_t grown = *capacity ? *capacity * 2 : 64;
		struct proc_vma *items = realloc(vmas->items, grown * sizeof(*items));

		if (!items)
			return -ENOMEM;
		vmas->items = items;
		*capacity = grown;
	}
	memset(&vmas->items[vmas->count++], 0, sizeof(*vmas->items));
	return 0;
}

int proc_vmas_parse(char *text, struct proc_vmas *out)
{
	struct proc_vmas vmas = { .text = text };
	size_t capacity = 0;
	int ret = 0;

	for (char *line = text, *next; !ret && *line; line = next) {
		next = strchrnul(line, '\n');
		if (*next)
			*next++ = '\0';
		if (hex_digit(*line) >= 0) {
			ret = add_vma(&vmas, &capacity);
			if (!ret && !parse_header(line, &vmas.items[vmas.count - 1]))
				ret = -EBADMSG;
		} else if (vmas.count) {
			parse_property(line, &vmas.items[vmas.count - 1]);
		} else {
			ret = -EBADMSG;
		}
	}
	if (ret)
		proc_vmas_free(&vmas);
	else
		*out = vmas;
	return ret;
}

void proc_vmas_free(struct proc_vmas *vmas)
{
	free(vmas->items);
	free(vmas->text);
	*vmas = (struct proc_vmas){ 0 };
}

int proc_vmas_read(int proc_fd, struct proc_vmas *out)
{
	scoped_fd int fd = openat(proc_fd, "smaps", O_RDONLY | O_CLOEXEC);
	scoped_free char *text = NULL;
	size_t len = 0, capacity = 0;
	ssize_t got = 1;

	if (fd < 0)
		return -errno;
	while (got > 0) {
		if (capacity - len < 32768) {
			capacity = capacity ? capacity * 2 : 65536;
			char *grown = realloc(text, capacity);

			if (!grown)
				return -ENOMEM;
			text = grown;
		}
		got = read(fd, text + len, capacity - len - 1);
		if (got < 0)
			return -errno;
		len += (size_t)got;
	}
	text[len] = '\0';
	return proc_vmas_parse(take_ptr(text), out);
}
