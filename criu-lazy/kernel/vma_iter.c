// SPDX-License-Identifier: GPL-2.0
#include "kernel/vma_iter.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <linux/btf.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "kernel/btf.h"
#include "util/scope.h"

#define BTF_PATH "/sys/kernel/btf/vmlinux"

enum { READ_AT_LEAST = 16384 };

struct vma_iter {
	int program;
};

/* Where things are in the structures of this kernel. */
struct layout {
	uint32_t iterator; /* type id of what is attached to */
	uint32_t start, end, flags;
};

static long bpf(int command, union bpf_attr *attr)
{
	long ret = syscall(SYS_bpf, command, attr, sizeof(*attr));

	return ret < 0 ? -errno : ret;
}

/* Mapped since 6.16, read before. */
static int load_text(int fd, size_t size, void **out)
{
	size_t done = 0;
	ssize_t got = 1;

	*out = mmap(NULL, size, PROT_READ, MAP_PRIVATE, fd, 0);
	if (*out != MAP_FAILED)
		return 0;
	*out = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (*out == MAP_FAILED)
		return -ENOMEM;
	while (done < size && got > 0) {
		got = read(fd, (char *)*out + done, size - done);
		done += got > 0 ? (size_t)got : 0;
	}
	if (done == size)
		return 0;
	munmap(*out, size);
	return got < 0 ? -errno : -EIO;
}

static int find_layout_in(const struct btf *btf, struct layout *out)
{
	uint32_t at;
	int ret;

	out->iterator = btf_find(btf, BTF_KIND_FUNC, "bpf_iter_task_vma", &at);
	if (!out->iterator || !btf_find(btf, BTF_KIND_STRUCT, "vm_area_struct", &at))
		return -EOPNOTSUPP;
	ret = btf_member(btf, at, "vm_start", &out->start);
	if (!ret)
		ret = btf_member(btf, at, "vm_end", &out->end);
	return ret ? ret : btf_member(btf, at, "vm_flags", &out->flags);
}

static int find_layout(struct layout *out)
{
	scoped_fd int fd = open(BTF_PATH, O_RDONLY | O_CLOEXEC);
	struct stat st;
	struct btf btf;
	void *text;
	int ret;

	if (fd < 0 || fstat(fd, &st))
		return -errno;
	ret = load_text(fd, (size_t)st.st_size, &text);
	if (ret)
		return ret;
	ret = btf_open(text, (size_t)st.st_size, &btf);
	if (!ret)
		ret = find_layout_in(&btf, out);
	munmap(text, (size_t)st.st_size);
	if (ret)
		return ret;
	return out->start < INT16_MAX && out->end < INT16_MAX && out->flags < INT16_MAX ? 0
											: -ERANGE;
}

#define LOAD(to, from, offset)                                  \
	(struct bpf_insn)                                       \
	{                                                       \
		BPF_LDX | BPF_MEM | BPF_DW, to, from, offset, 0 \
	}
#define STORE(to, offset, from)                                 \
	(struct bpf_insn)                                       \
	{                                                       \
		BPF_STX | BPF_MEM | BPF_DW, to, from, offset, 0 \
	}
#define COPY(to, from)                                      \
	(struct bpf_insn)                                   \
	{                                                   \
		BPF_ALU64 | BPF_MOV | BPF_X, to, from, 0, 0 \
	}
#define SET(to, value)                                       \
	(struct bpf_insn)                                    \
	{                                                    \
		BPF_ALU64 | BPF_MOV | BPF_K, to, 0, 0, value \
	}
#define ADD(to, value)                                       \
	(struct bpf_insn)                                    \
	{                                                    \
		BPF_ALU64 | BPF_ADD | BPF_K, to, 0, 0, value \
	}
#define SKIP_IF_0(reg, count)                               \
	(struct bpf_insn)                                   \
	{                                                   \
		BPF_JMP | BPF_JEQ | BPF_K, reg, 0, count, 0 \
	}
#define CALL(helper)                                \
	(struct bpf_insn)                           \
	{                                           \
		BPF_JMP | BPF_CALL, 0, 0, 0, helper \
	}
#define RETURN                                 \
	(struct bpf_insn)                      \
	{                                      \
		BPF_JMP | BPF_EXIT, 0, 0, 0, 0 \
	}

/*
 * Called with { struct bpf_iter_meta *meta; task; vma }, and once more at the end without a vma;
 * meta begins with the file that the output goes to.
 */
static int load_program(const struct layout *at)
{
	const int room = sizeof(struct vma_raw);
	const struct bpf_insn code[] = {
		LOAD(BPF_REG_6, BPF_REG_1, 16),
		LOAD(BPF_REG_7, BPF_REG_1, 0),
		SKIP_IF_0(BPF_REG_6, 11),
		LOAD(BPF_REG_2, BPF_REG_6, (int16_t)at->start),
		STORE(BPF_REG_10, -24, BPF_REG_2),
		LOAD(BPF_REG_2, BPF_REG_6, (int16_t)at->end),
		STORE(BPF_REG_10, -16, BPF_REG_2),
		LOAD(BPF_REG_2, BPF_REG_6, (int16_t)at->flags),
		STORE(BPF_REG_10, -8, BPF_REG_2),
		LOAD(BPF_REG_1, BPF_REG_7, 0),
		COPY(BPF_REG_2, BPF_REG_10),
		ADD(BPF_REG_2, -room),
		SET(BPF_REG_3, room),
		CALL(BPF_FUNC_seq_write),
		SET(BPF_REG_0, 0),
		RETURN,
	};
	union bpf_attr attr = {
		.prog_type = BPF_PROG_TYPE_TRACING,
		.expected_attach_type = BPF_TRACE_ITER,
		.attach_btf_id = at->iterator,
		.insns = (uintptr_t)code,
		.insn_cnt = sizeof(code) / sizeof(code[0]),
		.license = (uintptr_t) "GPL",
	};

	_Static_assert(sizeof(struct vma_raw) == 24, "what the program writes");
	return (int)bpf(BPF_PROG_LOAD, &attr);
}

int vma_iter_open(struct vma_iter **out)
{
	struct layout layout;
	int ret = find_layout(&layout), program;

	if (ret)
		return ret;
	program = load_program(&layout);
	if (program < 0)
		return program;
	*out = malloc(sizeof(**out));
	if (!*out)
		close(program);
	else
		(*out)->program = program;
	return *out ? 0 : -ENOMEM;
}

void vma_iter_close(struct vma_iter *iter)
{
	if (!iter)
		return;
	close(iter->program);
	free(iter);
}

/* bpf_iter_link_info.task of linux/bpf.h since 6.1. */
struct iter_task {
	uint32_t tid, pid, pid_fd;
};

/* For one task: without the choice of task (before 6.1) the whole host would be listed. */
static int attach(const struct vma_iter *iter, pid_t pid, int *out)
{
	const struct iter_task info = { .tid = (uint32_t)pid };
	union bpf_attr attr = {
		.link_create = {
			.prog_fd = (uint32_t)iter->program,
			.attach_type = BPF_TRACE_ITER,
			.iter_info = (uintptr_t)&info,
			.iter_info_len = sizeof(info),
		},
	};
	scoped_fd int link = (int)bpf(BPF_LINK_CREATE, &attr);

	if (link < 0)
		return link;
	attr = (union bpf_attr){ .iter_create = { .link_fd = (uint32_t)link } };
	*out = (int)bpf(BPF_ITER_CREATE, &attr);
	return *out < 0 ? *out : 0;
}

/* Of an address space that changes meanwhile the kernel may show an area again, without end when it
 * is the one that grows for what is read. */
static int check_order(const struct vma_raw *items, size_t from, size_t count)
{
	for (size_t i = from ? from : 1; i < count; i++) {
		if (items[i].start < items[i - 1].end)
			return -EAGAIN;
	}
	return 0;
}

int vma_iter_read(const struct vma_iter *iter, pid_t pid, struct vma_raw **items, size_t *count)
{
	scoped_free char *data = NULL;
	scoped_fd int fd = -1;
	size_t len = 0, room = 0, checked = 0;
	ssize_t got;
	int ret = attach(iter, pid, &fd);

	if (ret)
		return ret;
	do {
		if (room - len < READ_AT_LEAST) {
			room = room ? 2 * room : 4 * READ_AT_LEAST;
			char *grown = realloc(data, room);

			if (!grown)
				return -ENOMEM;
			data = grown;
		}
		got = read(fd, data + len, room - len);
		if (got < 0)
			return -errno;
		len += (size_t)got;
		ret = check_order((const struct vma_raw *)data, checked, len / sizeof(**items));
		if (ret)
			return ret;
		checked = len / sizeof(**items);
	} while (got);
	if (len % sizeof(struct vma_raw))
		return -EBADMSG;
	*items = (struct vma_raw *)take_ptr(data);
	*count = len / sizeof(struct vma_raw);
	return 0;
}
