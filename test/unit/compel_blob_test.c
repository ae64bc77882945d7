// SPDX-License-Identifier: GPL-2.0
/* Blobs inside own children: one run, a server, and what must survive them (x86-64 only). */
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/rseq.h>
#include <sys/syscall.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "arch_core.h"
#include "compel.h"
#include "unit.h"
#include "xstate.h"

static char last_error[512];

static void keep_error(bool is_error, const char *fmt, va_list args)
{
	if (is_error)
		vsnprintf(last_error, sizeof(last_error), fmt, args);
}

/* What a child and we look at together. */
static struct shared {
	volatile int ready, go;
	volatile uint64_t counter;
} * shared;

static pid_t child_start(int (*fn)(void))
{
	pid_t pid;

	memset((void *)shared, 0, sizeof(*shared));
	pid = fork();
	check(pid >= 0);
	if (!pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		alarm(30);
		_exit(fn());
	}
	while (!shared->ready)
		usleep(100);
	return pid;
}

static int child_end(pid_t pid)
{
	int status;

	shared->go = 1;
	check_eq(waitpid(pid, &status, 0), pid);
	return status;
}

static struct compel_inject *child_inject(pid_t pid)
{
	struct compel_inject *inject;
	struct compel_stop stop;

	check_eq(compel_seize(pid, &stop), 0);
	check_eq(compel_inject_begin(pid, pid, &inject), 0);
	return inject;
}

/* ---- blobs -------------------------------------------------------------- */

/* int64_t entry(struct { int64_t in, out; }): out = in + 1, wipes vector registers, returns in * 2.
 */
extern const unsigned char blob_run_start[], blob_run_entry[], blob_run_end[];
__asm__(".pushsection .rodata\n"
	"blob_run_start: ud2\n" /* not the entry */
	"blob_run_entry:\n"
	"	mov (%rdi), %rax\n"
	"	lea 1(%rax), %rcx\n"
	"	mov %rcx, 8(%rdi)\n"
	"	pcmpeqd %xmm0, %xmm0\n"
	"	movdqa %xmm0, %xmm5\n"
	"	movdqa %xmm0, %xmm15\n"
	"	fninit\n"
	"	fldpi\n"
	"	lea (%rax,%rax), %rax\n"
	"	ret\n"
	"blob_run_end:\n"
	".popsection");

/* int64_t entry(int *fd): answers each byte b from fd with b ^ 0x20 until the end; returns the
 * count. */
extern const unsigned char blob_server_start[], blob_server_end[];
__asm__(".pushsection .rodata\n"
	"blob_server_start:\n"
	"	push %rbx\n"
	"	push %rbp\n"
	"	sub $24, %rsp\n"
	"	mov (%rdi), %ebx\n"
	"	xor %ebp, %ebp\n"
	"1:	xor %eax, %eax\n" /* read */
	"	mov %ebx, %edi\n"
	"	mov %rsp, %rsi\n"
	"	mov $1, %edx\n"
	"	syscall\n"
	"	cmp $1, %rax\n"
	"	jne 2f\n"
	"	xorb $0x20, (%rsp)\n"
	"	mov $1, %eax\n" /* write */
	"	mov %ebx, %edi\n"
	"	mov %rsp, %rsi\n"
	"	mov $1, %edx\n"
	"	syscall\n"
	"	inc %ebp\n"
	"	jmp 1b\n"
	"2:	mov %ebp, %eax\n"
	"	add $24, %rsp\n"
	"	pop %rbp\n"
	"	pop %rbx\n"
	"	ret\n"
	"blob_server_end:\n"
	".popsection");

/* Loads xmm and st(0), waits for go, compares: no call and no spill in between. */
static int child_keeps_vectors(void)
{
	static const uint64_t pattern[2] = { 0x1122334455667788, 0x99aabbccddeeff00 };
	static uint64_t seen[6];
	static double one;

	__asm__ volatile("movdqu (%[p]), %%xmm0\n"
			 "movdqu (%[p]), %%xmm5\n"
			 "movdqu (%[p]), %%xmm15\n"
			 "fld1\n"
			 "movl $1, (%[ready])\n"
			 "1: pause\n"
			 "incq (%[counter])\n"
			 "cmpl $0, (%[go])\n"
			 "je 1b\n"
			 "movdqu %%xmm0, (%[s])\n"
			 "movdqu %%xmm5, 16(%[s])\n"
			 "movdqu %%xmm15, 32(%[s])\n"
			 "fstpl (%[one])\n"
			 :
			 : [p] "r"(pattern), [s] "r"(seen), [ready] "r"(&shared->ready),
			   [go] "r"(&shared->go), [counter] "r"(&shared->counter), [one] "r"(&one)
			 : "memory", "cc", "xmm0", "xmm5", "xmm15", "st");
	for (int i = 0; i < 6; i++)
		if (seen[i] != pattern[i % 2])
			return 1;
	return one == 1.0 ? 0 : 2;
}

static void test_run(void)
{
	const struct compel_blob blob = { blob_run_start, blob_run_end - blob_run_start,
					  blob_run_entry - blob_run_start };
	pid_t pid = child_start(child_keeps_vectors);

	for (int i = 0; i < 10; i++) {
		struct compel_inject *inject = child_inject(pid);
		int64_t args[2] = { 20 + i, 0 }, ret = 0;

		for (int j = 0; j < 3; j++) {
			check_eq(compel_run(inject, &blob, args, sizeof(args), &ret), 0);
			check_eq(ret, 2 * (20 + i));
			check_eq(args[1], 21 + i);
		}
		check_eq(compel_inject_end(&inject), 0);
		check_eq(compel_detach(pid), 0);
		usleep(1000);
	}
	check_eq(child_end(pid), 0);
}

/* The same child, its whole state through a core image and back. */
static void test_state_through_image(void)
{
	static struct compel_context before, after;
	pid_t pid = child_start(child_keeps_vectors);
	struct compel_stop stop;

	for (int i = 0; i < 10; i++) {
		CoreEntry *core = malloc(sizeof(*core));

		core_entry__init(core);
		check_eq(compel_seize(pid, &stop), 0);
		check_eq(compel_context_get(pid, &before), 0);
		check_eq(before.fpu_size, xstate_layout_get()->size);
		check_eq(arch_core_from_context(&before, core), 0);
		check_eq(arch_core_to_context(core, &after), 0);
		after.sigmask = before.sigmask;
		check_eq(compel_context_set(pid, &after), 0);
		check_eq(compel_context_get(pid, &after), 0);
		check(memcmp(before.regs, after.regs, sizeof(before.regs)) == 0);
		check_eq(compel_detach(pid), 0);
		core_entry__free_unpacked(core, NULL);
		usleep(1000);
	}
	check_eq(child_end(pid), 0);
}

static int child_waits(void)
{
	shared->ready = 1;
	while (!shared->go)
		usleep(1000);
	return 0;
}

static void test_server(void)
{
	const struct compel_blob blob = { blob_server_start, blob_server_end - blob_server_start,
					  0 };
	pid_t pid = child_start(child_waits);
	struct compel_inject *inject = child_inject(pid);
	int fd, remote_fd;
	int64_t ret;
	char c;

	check_eq(compel_socket(inject, &fd, &remote_fd), 0);
	check_eq(compel_server_start(inject, &blob, &remote_fd, sizeof(remote_fd)), 0);
	check_eq(compel_syscall(inject, SYS_getpid, (uint64_t[6]){ 0 }, &ret), -EBUSY);
	for (int i = 0; i < 26; i++) {
		c = 'a' + i;
		check_eq(write(fd, &c, 1), 1);
		check_eq(read(fd, &c, 1), 1);
		check_eq(c, 'A' + i);
	}
	close(fd);
	check_eq(compel_server_wait(inject, &ret), 0);
	check_eq(ret, 26);
	check_eq(compel_inject_end(&inject), 0);

	/* One that is given up in the middle of a read. */
	check_eq(compel_inject_begin(pid, pid, &inject), 0);
	check_eq(compel_socket(inject, &fd, &remote_fd), 0);
	check_eq(compel_server_start(inject, &blob, &remote_fd, sizeof(remote_fd)), 0);
	check_eq(compel_inject_end(&inject), 0);
	close(fd);
	check_eq(compel_detach(pid), 0);
	check_eq(child_end(pid), 0);
}

/* ---- restartable sequences ---------------------------------------------- */

extern const char rseq_start[], rseq_end[], rseq_abort[];

/* Counts in a section forever; whoever is preempted there goes on at the abort handler. */
static int child_in_rseq(void)
{
	static struct rseq_cs section __attribute__((aligned(32)));
	struct rseq *area = (void *)((char *)__builtin_thread_pointer() + __rseq_offset);

	section.start_ip = (uintptr_t)rseq_start;
	section.post_commit_offset = rseq_end - rseq_start;
	section.abort_ip = (uintptr_t)rseq_abort;
	__asm__ volatile(
		"1:	mov %[cs], (%[slot])\n"
		"rseq_start:\n"
		"	movl $1, (%[ready])\n"
		"	jmp rseq_start\n"
		"rseq_end:\n"
		".byte 0x0f, 0xb9, 0x3d\n"
		".long 0x53053053\n" /* RSEQ_SIG */
		"rseq_abort:\n"
		"	incq (%[counter])\n"
		"	cmpl $0, (%[go])\n"
		"	je 1b\n"
		:
		: [cs] "r"(&section), [slot] "r"((char *)area + 8), [ready] "r"(&shared->ready),
		  [go] "r"(&shared->go), [counter] "r"(&shared->counter)
		: "memory", "cc");
	return shared->counter ? 0 : 1;
}

static void test_rseq(void)
{
	static struct compel_context ctx;
	struct compel_call call = { .nr = SYS_getpid };
	struct user_regs_struct regs;
	struct compel_inject *inject;
	struct compel_stop stop;
	int inside = 0;
	pid_t pid;

	if (!__rseq_size)
		return;
	pid = child_start(child_in_rseq);
	for (int i = 0; i < 20; i++) {
		uint64_t aborts;

		check_eq(compel_seize(pid, &stop), 0);
		check_eq(ptrace(PTRACE_GETREGS, pid, NULL, &regs), 0);
		check_eq(compel_context_get(pid, &ctx), 0);
		if (regs.rip >= (uintptr_t)rseq_start && regs.rip < (uintptr_t)rseq_end) {
			inside++;
			check_eq(((struct user_regs_struct *)ctx.regs)->rip, (uintptr_t)rseq_abort);
		}
		aborts = shared->counter;
		check_eq(compel_inject_begin(pid, pid, &inject), 0);
		check_eq(compel_batch(inject, &call, 1), 0);
		check_eq(compel_inject_end(&inject), 0);
		check_eq(compel_detach(pid), 0);
		/* Running our code in it would else have hidden the abort from the kernel. */
		for (int j = 0; j < 2000 && shared->counter == aborts; j++)
			usleep(100);
		check(shared->counter > aborts);
	}
	check(inside > 0);
	shared->go = 1;
	/* Out of the section by one more abort. */
	check_eq(compel_seize(pid, &stop), 0);
	check_eq(compel_detach(pid), 0);
	check_eq(child_end(pid), 0);
}

/* ---- 32-bit code -------------------------------------------------------- */

/* Leaves for the 32-bit code segment and spins there. */
static int child_in_32bit_code(void)
{
	unsigned char *code = mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC,
				   MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT, -1, 0);

	if (code == MAP_FAILED)
		return 1;
	code[0] = 0xeb; /* jmp . */
	code[1] = 0xfe;
	shared->ready = 1;
	__asm__ volatile("pushq $0x23\n"
			 "pushq %0\n"
			 "lretq\n"
			 :
			 : "r"(code)
			 : "memory");
	return 2;
}

static void test_32bit_code(void)
{
	static struct compel_context ctx;
	pid_t pid = child_start(child_in_32bit_code);
	struct compel_inject *inject;
	struct compel_stop stop;

	usleep(20000);
	check_eq(compel_seize(pid, &stop), 0);
	check_eq(compel_context_get(pid, &ctx), -EOPNOTSUPP);
	check(strstr(last_error, "32-bit"));
	check_eq(compel_inject_begin(pid, pid, &inject), -EOPNOTSUPP);
	check_eq(compel_detach(pid), 0);
	kill(pid, SIGKILL);
	child_end(pid);
}

/* ---- refusals ----------------------------------------------------------- */

static int vforked(void *arg)
{
	while (!shared->go)
		usleep(1000);
	return 0;
}

static int child_vforks(void)
{
	static char stack[65536] __attribute__((aligned(16)));

	shared->ready = 1;
	return clone(vforked, stack + sizeof(stack), CLONE_VM | CLONE_VFORK | SIGCHLD, NULL) < 0;
}

static void test_vfork_parent(void)
{
	pid_t pid = child_start(child_vforks);
	struct compel_stop stop;

	usleep(20000);
	compel_set_stop_timeout(200);
	check_eq(compel_seize(pid, &stop), -ETIMEDOUT);
	check(strstr(last_error, "vfork"));
	shared->go = 1;
	check_eq(compel_seize_wait(pid, &stop), 0);
	check_eq(compel_detach(pid), 0);
	check_eq(child_end(pid), 0);
}

/* Our code hangs in the task: it is taken out, and the task goes on. */
static void test_stuck(void)
{
	struct compel_call calls[] = { { .nr = SYS_getpid }, { .nr = SYS_pause } };
	pid_t pid = child_start(child_waits);
	struct compel_inject *inject = child_inject(pid);
	int64_t ret;

	compel_set_stop_timeout(100);
	check_eq(compel_batch(inject, calls, 2), -ETIMEDOUT);
	check_eq(compel_syscall(inject, SYS_getpid, calls[0].args, &ret), -ETIMEDOUT);
	check_eq(compel_inject_end(&inject), -ETIMEDOUT);
	check_eq(compel_inject_begin(pid, pid, &inject), 0);
	check_eq(compel_syscall(inject, SYS_pause, calls[0].args, &ret), -ETIMEDOUT);
	check_eq(compel_inject_end(&inject), -ETIMEDOUT);
	compel_set_stop_timeout(5000);
	check_eq(compel_detach(pid), 0);
	check_eq(child_end(pid), 0);
}

static void test_traced_by_another(void)
{
	pid_t pid = child_start(child_waits), tracer;
	struct compel_stop stop;
	int status;

	tracer = fork();
	check(tracer >= 0);
	if (!tracer)
		_exit(compel_seize(pid, &stop) || (usleep(300000), compel_detach(pid)));
	usleep(100000);
	check_eq(compel_seize(pid, &stop), -EPERM);
	check(strstr(last_error, "is traced by"));
	check_eq(waitpid(tracer, &status, 0), tracer);
	check_eq(status, 0);
	check_eq(child_end(pid), 0);
}

int main(void)
{
	compel_set_log(keep_error);
	shared = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	check(shared != MAP_FAILED);
	test_run();
	test_state_through_image();
	test_server();
	test_rseq();
	test_32bit_code();
	test_traced_by_another();
	test_stuck();
	test_vfork_parent();
	return 0;
}
