/* Every call passes here: counted, made to cost, hang or fail, and noted where a test wants to see it. */
#include "simulated.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#define LOG_BYTES (1 << 20)

static unsigned long calls;
static char log_text[LOG_BYTES];
static size_t log_length;

/* For tests, through ctypes: how many calls there were; and which, since this was asked the last time. */
unsigned long nvmlSimulatedCalls(void)
{
    return calls;
}

const char *nvmlSimulatedLog(void)
{
    static char told[LOG_BYTES];
    memcpy(told, log_text, log_length);
    told[log_length] = '\0';
    log_length = 0;
    return told;
}

/* Where what the calls cost is written: the control file's name with `.account`, if there is such a file. */
struct account {
    unsigned long long calls, cpu_ns, wall_ns, users;
};

static struct account *account(void)
{
    static struct account *ours;
    static bool looked;
    char path[4096];
    const char *control = getenv("SIMULATED_NVML");
    if (looked)
        return ours;
    looked = true;
    snprintf(path, sizeof path, "%s.account", control ? control : "");
    int file = control ? open(path, O_RDWR) : -1;
    if (file < 0)
        return NULL;
    void *mapped = mmap(NULL, sizeof *ours, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    close(file);
    ours = mapped == MAP_FAILED ? NULL : mapped;
    return ours;
}

void account_users(int references)
{
    if (account())
        account()->users = (unsigned long long)references;
}

static unsigned long long clock_ns(clockid_t clock)
{
    struct timespec now;
    clock_gettime(clock, &now);
    return (unsigned long long)now.tv_sec * 1000000000ULL + (unsigned long long)now.tv_nsec;
}

static __thread int depth;

struct meter meter_start(void)
{
    struct meter begun = {0};
    if (depth++ || !account())
        return begun;
    begun.wall_ns = clock_ns(CLOCK_MONOTONIC);
    begun.cpu_ns = clock_ns(CLOCK_THREAD_CPUTIME_ID);
    begun.runs = true;
    return begun;
}

void meter_stop(struct meter *begun)
{
    depth--;
    if (!begun->runs)
        return;
    account()->calls++;
    account()->cpu_ns += clock_ns(CLOCK_THREAD_CPUTIME_ID) - begun->cpu_ns;
    account()->wall_ns += clock_ns(CLOCK_MONOTONIC) - begun->wall_ns;
}

void note_call(const char *function, long choice, int device)
{
    calls++;
    if (!control_now()->log || LOG_BYTES - log_length < 128)
        return;
    log_length += (size_t)(choice < 0 ? snprintf(log_text + log_length, 128, "%s %d\n", function, device)
                                      : snprintf(log_text + log_length, 128, "%s:%ld %d\n", function,
                                                 choice, device));
}

static bool lacks(const char *function, int device)
{
    for (const char *const *word = model_of(device)->lacks; *word; word++)
        if (strcmp(*word, function) == 0)
            return true;
    return false;
}

static nvmlReturn_t answer(const char *function, int device, const struct rule *rule)
{
    const struct control *control = control_now();
    bool part = strncmp(function, "field:", 6) == 0 || strncmp(function, "gpm:", 4) == 0;
    long pause = part ? control->field_latency_us : control->latency_us;
    long work = part ? control->field_work_us : control->work_us;
    if (rule && (rule->latency_us || rule->work_us)) {
        pause = rule->latency_us;
        work = rule->work_us;
    }
    if (pause)
        control_sleep_us(pause);
    if (work)
        control_work_us(work);
    if (rule && rule->hang_ms)
        control_sleep_us(rule->hang_ms * 1000);
    if (!control_alive())
        return NVML_ERROR_UNINITIALIZED;
    if (rule && rule->has_code)
        return (nvmlReturn_t)rule->code;
    if (device < 0)
        return NVML_SUCCESS;
    if (device >= control->devices)
        return NVML_ERROR_INVALID_ARGUMENT;
    if (control->lost[device])
        return NVML_ERROR_GPU_IS_LOST;
    if (rule && (rule->has_value || rule->garbage))
        return NVML_SUCCESS; /* what a rule gives a value, the device has */
    return lacks(function, device) ? NVML_ERROR_NOT_SUPPORTED : NVML_SUCCESS;
}

nvmlReturn_t enter(const char *function, int device, const struct rule **rule)
{
    const struct control *control = control_now();
    *rule = control->rules ? control_rule(control, function, device) : NULL;
    return answer(function, device, *rule);
}

nvmlReturn_t enter_choice(const char *function, long choice, int device, const struct rule **rule)
{
    const struct control *control = control_now();
    char chosen[96];
    snprintf(chosen, sizeof chosen, "%s:%ld", function, choice);
    *rule = control->rules ? control_rule(control, chosen, device) : NULL;
    if (control->rules && (!*rule || strcmp((*rule)->function, "*") == 0)) {
        const struct rule *general = control_rule(control, function, device);
        *rule = general ? general : *rule;
    }
    nvmlReturn_t answered = answer(chosen, device, *rule);
    if (answered == NVML_SUCCESS && !(*rule && (*rule)->has_value) && lacks(function, device))
        return NVML_ERROR_NOT_SUPPORTED;
    return answered;
}

unsigned int u32(double number)
{
    return (unsigned int)u64(number);
}

unsigned long long u64(double number)
{
    if (number >= 18446744073709551616.0 || number != number)
        return 0xFFFFFFFFFFFFFFFFULL;
    return number < 0 ? (unsigned long long)(long long)(number < -9e18 ? -9e18 : number)
                      : (unsigned long long)number;
}

double rule_number(const struct rule *rule, double fallback)
{
    if (rule && rule->garbage) {
        static unsigned long long state = 88172645463325252ULL;
        double number;
        state ^= state << 13, state ^= state >> 7, state ^= state << 17;
        if (state % 3 == 0)
            return (double)(state >> 40);
        memcpy(&number, &state, sizeof number);
        return number;
    }
    return rule && rule->has_value ? rule->value : fallback;
}

nvmlReturn_t give_text(char *to, unsigned int size, const struct rule *rule, const char *text)
{
    const char *from = rule && rule->has_text ? rule->text : text;
    if (rule && rule->garbage) {
        for (unsigned int i = 0; i + 1 < size; i++)
            to[i] = (char)(rand() % 255 + 1);
        to[size - 1] = '\0';
        return NVML_SUCCESS;
    }
    if (strlen(from) >= size)
        return NVML_ERROR_INSUFFICIENT_SIZE;
    strcpy(to, from);
    return NVML_SUCCESS;
}
