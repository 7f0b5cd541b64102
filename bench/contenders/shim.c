/* Loaded in front of the C library: what is opened below SLOW_ROOT takes SLOW_MS milliseconds longer, as a mount far away
 * would make it. With SLOW_FILES, only what has a name that ends in .json: looking up folders costs nothing then.
 * A descriptor that is opened again through /proc is no look-up on the mount, but a question to it all the same.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static void slow(int folder, const char *path) {
    const char *root = getenv("SLOW_ROOT"), *delay = getenv("SLOW_MS");
    char link[64], whole[2 * PATH_MAX];
    if (!root || !delay) return;
    if (folder != AT_FDCWD && *path != '/') {
        snprintf(link, sizeof link, "/proc/self/fd/%d", folder);
        ssize_t size = readlink(link, whole, PATH_MAX);
        if (size < 0) return;
        snprintf(whole + size, PATH_MAX, "/%s", path);
        path = whole;
    } else if (!strncmp(path, "/proc/self/fd/", 14)) {
        ssize_t size = readlink(path, whole, PATH_MAX);
        if (size < 0) return;
        whole[size] = 0;
        path = whole;
    }
    size_t length = strlen(path);
    if (strncmp(path, root, strlen(root))) return;
    if (getenv("SLOW_FILES") && (length < 5 || strcmp(path + length - 5, ".json"))) return;
    struct timespec pause = {0, atol(delay) * 1000000L};
    nanosleep(&pause, NULL);
}

#define NEXT(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))
#define MODE(flags) int mode = 0; if ((flags) & (O_CREAT | O_TMPFILE)) { va_list more; va_start(more, flags); mode = va_arg(more, int); va_end(more); }
#define OPENS(name) int name(const char *path, int flags, ...) { MODE(flags) slow(AT_FDCWD, path); return NEXT(name)(path, flags, mode); }
#define OPENS_IN(name) \
    int name(int folder, const char *path, int flags, ...) { MODE(flags) slow(folder, path); return NEXT(name)(folder, path, flags, mode); }
OPENS(open)
OPENS(open64)
OPENS_IN(openat)
OPENS_IN(openat64)
