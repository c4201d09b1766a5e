/* runner/sandbox.c - Landlock names what may be reached; all else is denied. The rule set is built before the fork,
 * where a fault can be told in words, and entered after it.
 *
 * A rule reaches everything below its folder, and there is no rule that takes away. So where the state folder lies below
 * a folder that is to be granted (a state of /opt/ci/state, the system's /opt), that folder is not granted itself but,
 * one by one, what is in it, down to the state, which is left out. What appears there later is not reachable.
 *
 * The seccomp filter is a list of what no step of a build needs and what has let programs out of confinement before:
 * EPERM for those, so that programs that only try go on. ptrace and its kin stay allowed where Landlock holds, which
 * confines them to the step's own processes: debuggers and leak checkers need them. */
#include "runner/sandbox.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/landlock.h>
#include <linux/sched.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/file.h"
#include "runner/step.h"

/* ---- Landlock: constants of newer kernels than the headers we are built with ---- */
#define FS_TRUNCATE (1ull << 14)                /* ABI 3 */
#define FS_IOCTL_DEV (1ull << 15)               /* ABI 5 */
#define SCOPE_ABSTRACT_SOCKET (1ull << 0)       /* ABI 6 */
#define SCOPE_SIGNAL (1ull << 1)

struct ruleset_attr {                           /* as ABI 6 has it; older kernels take the front of it */
	uint64_t fs, net, scoped;
};

#define FS_READ (LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR)
#define FS_READ_EXECUTE (FS_READ | LANDLOCK_ACCESS_FS_EXECUTE)
#define FS_ALL_OF_1 ((1ull << 13) - 1)
#define FS_DEVICES (LANDLOCK_ACCESS_FS_MAKE_CHAR | LANDLOCK_ACCESS_FS_MAKE_BLOCK)
#define FS_WRITE (FS_READ_EXECUTE | ((FS_ALL_OF_1 | LANDLOCK_ACCESS_FS_REFER | FS_TRUNCATE) & ~(uint64_t)FS_DEVICES))
#define FS_DEVICE (LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_WRITE_FILE | FS_TRUNCATE | FS_IOCTL_DEV)
#define FS_OF_A_FILE (LANDLOCK_ACCESS_FS_EXECUTE | FS_DEVICE)

#define EXPAND_DEPTH 16                         /* folders between a granted one and the state below it */
#define EXPAND_ENTRIES 4096

static const struct { const char *path; uint64_t access; } system_paths[] = {
	{ "/usr", FS_READ_EXECUTE }, { "/bin", FS_READ_EXECUTE }, { "/sbin", FS_READ_EXECUTE },
	{ "/lib", FS_READ_EXECUTE }, { "/lib32", FS_READ_EXECUTE }, { "/lib64", FS_READ_EXECUTE },
	{ "/libx32", FS_READ_EXECUTE }, { "/etc", FS_READ_EXECUTE }, { "/opt", FS_READ_EXECUTE },
	{ "/nix/store", FS_READ_EXECUTE }, { "/gnu/store", FS_READ_EXECUTE }, { "/snap", FS_READ_EXECUTE },
	{ "/proc", FS_READ }, { "/sys", FS_READ },
	{ "/run/systemd/resolve", FS_READ }, { "/run/resolvconf", FS_READ }, { "/run/NetworkManager", FS_READ },
	{ "/var/lib/ca-certificates", FS_READ }, { "/var/lib/dpkg", FS_READ }, { "/var/lib/texmf", FS_READ },
	{ "/var/cache/fontconfig", FS_READ },
	{ "/dev/null", FS_DEVICE }, { "/dev/zero", FS_DEVICE }, { "/dev/full", FS_DEVICE },
	{ "/dev/random", FS_DEVICE }, { "/dev/urandom", FS_DEVICE }, { "/dev/tty", FS_DEVICE },
	{ "/dev/shm", FS_WRITE },
};

struct ruleset {
	int fd;
	uint64_t handled;
	const char *state;                      /* real path, or NULL */
};

int sandbox_landlock_abi(void)
{
	static int abi = -1;

	if (abi < 0) {
		long got = syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
		abi = got > 0 ? (int)got : 0;
	}
	return abi;
}

static int new_ruleset(uint64_t *handled)
{
	int abi = sandbox_landlock_abi();
	struct ruleset_attr attr = { .fs = FS_ALL_OF_1 };

	if (abi >= 2)
		attr.fs |= LANDLOCK_ACCESS_FS_REFER;
	if (abi >= 3)
		attr.fs |= FS_TRUNCATE;
	if (abi >= 5)
		attr.fs |= FS_IOCTL_DEV;
	if (abi >= 6)
		attr.scoped = SCOPE_ABSTRACT_SOCKET | SCOPE_SIGNAL;
	*handled = attr.fs;
	size_t size = abi >= 6 ? sizeof attr : abi >= 4 ? offsetof(struct ruleset_attr, scoped) : sizeof attr.fs;
	return (int)syscall(SYS_landlock_create_ruleset, &attr, size, 0);
}

/* What is not there needs no rule. */
static int grant_fd(const struct ruleset *r, int fd, const char *path, uint64_t access, struct err *e)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return err_errno(e, "%s", path);
	if (!S_ISDIR(st.st_mode))
		access &= FS_OF_A_FILE;
	struct landlock_path_beneath_attr attr = { .allowed_access = access & r->handled, .parent_fd = fd };
	if (!attr.allowed_access)
		return 0;
	if (syscall(SYS_landlock_add_rule, r->fd, LANDLOCK_RULE_PATH_BENEATH, &attr, 0) < 0)
		return err_errno(e, "landlock: %s", path);
	return 0;
}

static int grant_one(const struct ruleset *r, const char *path, uint64_t access, struct err *e)
{
	CLEANUP(fd_closep) int fd = open(path, O_PATH | O_CLOEXEC);

	return fd < 0 ? 0 : grant_fd(r, fd, path, access, e);
}

/* PATH is DIR or lies below it; both without a slash at the end. */
static int is_within(const char *path, const char *dir)
{
	size_t n = strcmp(dir, "/") == 0 ? 0 : strlen(dir);

	return strncmp(path, dir, n) == 0 && (path[n] == '/' || path[n] == '\0');
}

static int grant(const struct ruleset *r, const char *path, uint64_t access, int depth, struct err *e);

/* What is in the folder PATH, which the state folder lies below. */
static int grant_entries(const struct ruleset *r, const char *path, uint64_t access, int depth, struct err *e)
{
	DIR *dir = opendir(path);
	struct dirent *entry;
	int n = 0, failed = 0;

	while (dir && !failed && (entry = readdir(dir)) != NULL) {
		struct stat st;
		if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0 || ++n > EXPAND_ENTRIES ||
		    fstatat(dirfd(dir), entry->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0 || S_ISLNK(st.st_mode))
			continue;
		CLEANUP(freep) char *below = xprintf("%s/%s", strcmp(path, "/") == 0 ? "" : path, entry->d_name);
		failed = grant(r, below, access, depth + 1, e) < 0;
	}
	if (dir)
		closedir(dir);
	return failed ? -1 : 0;
}

/* PATH is real: no symbolic link on the way. */
static int grant(const struct ruleset *r, const char *path, uint64_t access, int depth, struct err *e)
{
	if (!r->state || !is_within(r->state, path))
		return grant_one(r, path, access, e);
	if (strcmp(r->state, path) == 0 || depth > EXPAND_DEPTH)
		return 0;
	return grant_entries(r, path, access, depth, e);
}

static int grant_named(const struct ruleset *r, const char *path, uint64_t access, struct err *e)
{
	CLEANUP(freep) char *real = realpath(path, NULL);

	return real ? grant(r, real, access, 0, e) : 0;
}

static int grant_all(const struct ruleset *r, const struct step_options *o, struct err *e)
{
	for (size_t i = 0; i < COUNT(system_paths); i++)
		if (grant_named(r, system_paths[i].path, system_paths[i].access, e) < 0)
			return -1;
	for (const char *const *p = o->readable; p && *p; p++)
		if (grant_named(r, *p, FS_READ_EXECUTE, e) < 0)
			return -1;
	for (const char *const *p = o->writable; p && *p; p++)
		if (grant_named(r, *p, FS_WRITE, e) < 0)
			return -1;
	return o->workspace && *o->workspace ? grant_named(r, o->workspace, FS_WRITE, e) : 0;
}

int sandbox_ruleset(const struct step_options *o, struct err *e)
{
	if (!sandbox_landlock_abi())
		return -2;
	CLEANUP(freep) char *state = o->state ? realpath(o->state, NULL) : NULL;
	struct ruleset r = { .state = state };
	CLEANUP(fd_closep) int fd = new_ruleset(&r.handled);
	if (fd < 0)
		return err_errno(e, "landlock");
	r.fd = fd;
	if (grant_all(&r, o, e) < 0)
		return -1;
	return fd_take(&fd);
}

/* ---- seccomp ---- */

#if defined(__x86_64__)
#define OUR_ARCH AUDIT_ARCH_X86_64
#elif defined(__aarch64__)
#define OUR_ARCH AUDIT_ARCH_AARCH64
#endif

#define NR offsetof(struct seccomp_data, nr)
#define ARCH offsetof(struct seccomp_data, arch)
#define LOW_HALF_OF_ARG(i) (offsetof(struct seccomp_data, args) + 8 * (i))      /* both architectures are little endian */
#define HIGH_HALF_OF_ARG(i) (LOW_HALF_OF_ARG(i) + 4)

#define LOAD(what) BPF_STMT(BPF_LD | BPF_W | BPF_ABS, (what))
#define RETURN(what) BPF_STMT(BPF_RET | BPF_K, (what))
#define REFUSE(number) RETURN(SECCOMP_RET_ERRNO | (number))
#define ALLOW RETURN(SECCOMP_RET_ALLOW)
/* A condition that does not hold skips the SKIP instructions behind it. */
#define IF_IS(value, skip) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (value), 0, (skip))
#define IF_HAS_BITS(bits, skip) BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, (bits), 0, (skip))
#define DENY(name) IF_IS(SYS_##name, 1), REFUSE(EPERM)

#define NEW_NAMESPACES (CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNET)
#define NEW_TIME 0x80                           /* CLONE_NEWTIME: of unshare only; in clone these bits are a signal */

#ifdef OUR_ARCH
/* A 32-bit program's numbers mean other calls. */
#define ONLY_OUR_ARCH LOAD(ARCH), BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, OUR_ARCH, 1, 0), REFUSE(ENOSYS)
static struct sock_filter filter[] = {
	ONLY_OUR_ARCH,
	LOAD(NR),
#ifdef __x86_64__
	BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, 0x40000000, 0, 1), REFUSE(ENOSYS),   /* x32 */
#endif
	DENY(add_key), DENY(keyctl), DENY(request_key),
	DENY(bpf), DENY(perf_event_open), DENY(userfaultfd),
	DENY(io_uring_setup), DENY(io_uring_enter), DENY(io_uring_register),
	DENY(mount), DENY(umount2), DENY(pivot_root), DENY(move_mount), DENY(open_tree), DENY(mount_setattr),
	DENY(fsopen), DENY(fsconfig), DENY(fsmount), DENY(fspick), DENY(setns), DENY(open_by_handle_at),
	DENY(init_module), DENY(finit_module), DENY(delete_module), DENY(kexec_load), DENY(kexec_file_load),
	DENY(reboot), DENY(swapon), DENY(swapoff), DENY(acct), DENY(quotactl), DENY(quotactl_fd), DENY(syslog), DENY(vhangup),
	DENY(settimeofday), DENY(clock_settime), DENY(sethostname), DENY(setdomainname),
#ifdef __x86_64__
	DENY(iopl), DENY(ioperm), DENY(uselib), DENY(create_module),
#endif
	/* clone3 keeps its flags in memory, where a filter cannot look: libraries fall back to clone. */
	IF_IS(SYS_clone3, 1), REFUSE(ENOSYS),
	IF_IS(SYS_clone, 4), LOAD(LOW_HALF_OF_ARG(0)), IF_HAS_BITS(NEW_NAMESPACES, 1), REFUSE(EPERM), ALLOW,
	IF_IS(SYS_unshare, 4), LOAD(LOW_HALF_OF_ARG(0)), IF_HAS_BITS(NEW_NAMESPACES | NEW_TIME, 1), REFUSE(EPERM), ALLOW,
	/* Characters pushed into a terminal would be typed by its owner. */
	IF_IS(SYS_ioctl, 6), LOAD(LOW_HALF_OF_ARG(1)), IF_IS(TIOCSTI, 1), REFUSE(EPERM), IF_IS(TIOCLINUX, 1), REFUSE(EPERM), ALLOW,
	/* Limits of another process: reading them is harmless. */
	IF_IS(SYS_prlimit64, 9), LOAD(LOW_HALF_OF_ARG(0)), IF_IS(0, 1), ALLOW,
	LOAD(LOW_HALF_OF_ARG(2)), IF_IS(0, 3), LOAD(HIGH_HALF_OF_ARG(2)), IF_IS(0, 1), ALLOW, REFUSE(EPERM),
	ALLOW,
};
static struct sock_filter filter_of_tracing[] = {       /* without Landlock */
	ONLY_OUR_ARCH,
	LOAD(NR),
	DENY(ptrace), DENY(process_vm_readv), DENY(process_vm_writev), DENY(pidfd_getfd), DENY(process_madvise), DENY(kcmp),
	ALLOW,
};
#endif

int sandbox_has_seccomp(void)
{
#ifdef OUR_ARCH
	uint32_t action = SECCOMP_RET_ERRNO;
	return syscall(SYS_seccomp, SECCOMP_GET_ACTION_AVAIL, 0, &action) == 0;
#else
	return 0;
#endif
}

#ifdef OUR_ARCH
static int load_filter(struct sock_filter *list, size_t n)
{
	struct sock_fprog program = { .len = (unsigned short)n, .filter = list };

	return (int)syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program);
}
#endif

int sandbox_ruleset_of_nothing(void)
{
	uint64_t handled;
	return sandbox_landlock_abi() ? new_ruleset(&handled) : -2;
}

int sandbox_enter(int ruleset_fd)
{
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return -1;
	if (ruleset_fd >= 0 && syscall(SYS_landlock_restrict_self, ruleset_fd, 0) < 0)
		return -1;
#ifdef OUR_ARCH
	if (!sandbox_has_seccomp())
		return 0;
	if (ruleset_fd < 0 && load_filter(filter_of_tracing, COUNT(filter_of_tracing)) < 0)
		return -1;
	return load_filter(filter, COUNT(filter));
#else
	return 0;
#endif
}
