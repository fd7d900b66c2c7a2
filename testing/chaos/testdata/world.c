/*
 * What a server believes of the world: what time it is, and whether its disk
 * has room. It is loaded before the C library (LD_PRELOAD), and reads what the
 * test has written to a file that both have mapped.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

struct world {
	volatile int64_t step;    /* of the clock, in nanoseconds */
	volatile int64_t full;    /* files below disk cannot grow */
	volatile int64_t refused; /* a write was, and nobody has taken note of it */
	char disk[1000];
};

static struct world *world;

__attribute__((constructor)) static void look(void)
{
	const char *path = getenv("CHAOS_WORLD");
	int fd = path ? open(path, O_RDWR | O_CLOEXEC) : -1;
	void *at;

	if (fd < 0)
		return;
	at = mmap(NULL, sizeof(struct world), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	close(fd);
	if (at != MAP_FAILED)
		world = at;
}

int clock_gettime(clockid_t clock, struct timespec *now)
{
	const int64_t second = 1000000000;
	int failed = syscall(SYS_clock_gettime, clock, now);
	int64_t all;

	if (failed || !world || !world->step || (clock != CLOCK_REALTIME && clock != CLOCK_REALTIME_COARSE))
		return failed;
	all = now->tv_sec * second + now->tv_nsec + world->step;
	now->tv_sec = all / second;
	now->tv_nsec = all % second;
	return 0;
}

int gettimeofday(struct timeval *restrict now, void *restrict zone)
{
	struct timespec t;

	(void) zone;
	clock_gettime(CLOCK_REALTIME, &t);
	now->tv_sec = t.tv_sec;
	now->tv_usec = t.tv_nsec / 1000;
	return 0;
}

time_t time(time_t *into)
{
	struct timespec t;

	clock_gettime(CLOCK_REALTIME, &t);
	if (into)
		*into = t.tv_sec;
	return t.tv_sec;
}

/* no_room says whether a write up to end would make a file of the full disk grow. */
static int no_room(int fd, int64_t end)
{
	char link[64], path[4096];
	struct stat file;
	ssize_t length;

	if (!world || !world->full || fstat(fd, &file) || !S_ISREG(file.st_mode) || end <= file.st_size)
		return 0;
	snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
	length = readlink(link, path, sizeof path - 1);
	if (length < 0)
		return 0;
	path[length] = 0;
	if (!strstr(path, world->disk))
		return 0;
	world->refused = 1;
	errno = ENOSPC;
	return 1;
}

#define REAL(name) ((__typeof__(&name)) dlsym(RTLD_NEXT, #name))

static int64_t sum(const struct iovec *parts, int n)
{
	int64_t all = 0;

	while (n-- > 0)
		all += parts[n].iov_len;
	return all;
}

/* write is how a segment of the write-ahead log is made before PostgreSQL 14. */
ssize_t write(int fd, const void *data, size_t n)
{
	static __typeof__(&write) real;

	if (!real)
		real = REAL(write);
	if (world && world->full && no_room(fd, (int64_t) lseek(fd, 0, SEEK_CUR) + n))
		return -1;
	return real(fd, data, n);
}

ssize_t pwrite(int fd, const void *data, size_t n, off_t at)
{
	static __typeof__(&pwrite) real;

	if (!real)
		real = REAL(pwrite);
	return no_room(fd, (int64_t) at + n) ? -1 : real(fd, data, n, at);
}

ssize_t pwrite64(int fd, const void *data, size_t n, __off64_t at)
{
	static __typeof__(&pwrite64) real;

	if (!real)
		real = REAL(pwrite64);
	return no_room(fd, (int64_t) at + n) ? -1 : real(fd, data, n, at);
}

ssize_t pwritev(int fd, const struct iovec *parts, int n, off_t at)
{
	static __typeof__(&pwritev) real;

	if (!real)
		real = REAL(pwritev);
	return no_room(fd, (int64_t) at + sum(parts, n)) ? -1 : real(fd, parts, n, at);
}

ssize_t pwritev64(int fd, const struct iovec *parts, int n, __off64_t at)
{
	static __typeof__(&pwritev64) real;

	if (!real)
		real = REAL(pwritev64);
	return no_room(fd, (int64_t) at + sum(parts, n)) ? -1 : real(fd, parts, n, at);
}

int posix_fallocate(int fd, off_t at, off_t n)
{
	static __typeof__(&posix_fallocate) real;

	if (!real)
		real = REAL(posix_fallocate);
	return no_room(fd, (int64_t) at + n) ? ENOSPC : real(fd, at, n);
}

int posix_fallocate64(int fd, __off64_t at, __off64_t n)
{
	static __typeof__(&posix_fallocate64) real;

	if (!real)
		real = REAL(posix_fallocate64);
	return no_room(fd, (int64_t) at + n) ? ENOSPC : real(fd, at, n);
}
