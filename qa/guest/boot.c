/*
 * The only process of the test guest: loads the modules for its disks, finds them, and uses them.
 *
 * Kernel parameters, all optional:
 *   DISKS=n     how many disks to wait for (default 1)
 *   WRITES=n    writes in a second for each disk (default 100; 0: as many as possible)
 *   BLOCK=n     bytes of a block, a multiple of 4096 (default 4096)
 *   LANES=n     requests at once for each disk (default 2)
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "guest.h"

#define WAIT_FOR_DISKS 300 /* tenths of a second */

static char names[MOST_DISKS][16];
static const char *paths[MOST_DISKS];

long parameter(const char *name, long otherwise)
{
    const char *text = getenv(name);
    return text && *text ? atol(text) : otherwise;
}

static void end(const char *reason)
{
    printf("guest failed: %s: %s\n", reason, strerror(errno));
    fflush(stdout);
    reboot(RB_POWER_OFF);
    for (;;)
        pause();
}

/* Loads the modules that the file /modules/order names, one a line. */
static void load_modules(void)
{
    char name[128], path[160];
    FILE *order = fopen("/modules/order", "r");
    if (!order)
        end("/modules/order");
    while (fscanf(order, "%127s", name) == 1) {
        snprintf(path, sizeof path, "/modules/%s", name);
        int file = open(path, O_RDONLY);
        if (file < 0)
            end(path);
        if (syscall(SYS_finit_module, file, "", 0) && errno != EEXIST)
            end(path);
        close(file);
    }
    fclose(order);
}

static int find_disks(void)
{
    static const char *const kinds[] = {"vd", "sd"};
    int found = 0;
    for (int kind = 0; kind < 2; kind++)
        for (char letter = 'a'; letter <= 'z' && found < MOST_DISKS; letter++) {
            struct stat there;
            snprintf(names[found], sizeof names[found], "/dev/%s%c", kinds[kind], letter);
            if (stat(names[found], &there) == 0 && S_ISBLK(there.st_mode)) {
                paths[found] = names[found];
                found++;
            }
        }
    return found;
}

int main(void)
{
    setvbuf(stdout, NULL, _IOLBF, 0);
    mkdir("/dev", 0755);
    if (mount("devtmpfs", "/dev", "devtmpfs", 0, ""))
        end("/dev");
    int console = open("/dev/console", O_RDWR);
    for (int target = 0; target < 3 && console >= 0; target++)
        dup2(console, target);
    load_modules();
    int wanted = (int)parameter("DISKS", 1), found = 0;
    for (int tries = 0; tries < WAIT_FOR_DISKS && (found = find_disks()) < wanted; tries++)
        usleep(100000);
    if (found < wanted)
        end("there are fewer disks than expected");
    use_disks(paths, found);
    end("the writers ended");
}
