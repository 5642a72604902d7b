/* The driver's own sample buffers, told by a file of their own: the control file's name with `.samples`.
 *
 * One sample a line, oldest first: DEVICE KIND TIMESTAMP VALUE [TYPE]. KIND is an nvmlSamplingType_t,
 * TIMESTAMP is in microseconds, TYPE an nvmlValueType_t that holds for the whole answer. Without the file
 * every buffer is empty, or has what the directive `sampling` says: the newest 120 by the system's clock. Read at every call, so that a test can replace it (by renaming) at any time.
 */
#include <stdlib.h>
#include <time.h>

#include "simulated.h"

#define MAX_SAMPLES 4096
#define KEPT 120

static nvmlSample_t buffer[MAX_SAMPLES];
static nvmlValueType_t type;

static void set_value(nvmlValue_t *value, double number)
{
    memset(value, 0xA5, sizeof *value); /* what is not set is not to be believed */
    if (type == NVML_VALUE_TYPE_DOUBLE)
        value->dVal = number;
    else if (type == NVML_VALUE_TYPE_UNSIGNED_LONG_LONG)
        value->ullVal = (unsigned long long)number;
    else
        value->uiVal = (unsigned int)(long long)number;
}

/* The newest samples of a driver that takes `hertz` a second, by a clock that is right for all of them. */
static unsigned int sampled(int device, nvmlSamplingType_t kind, int hertz, unsigned long long since)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    unsigned long long period = 1000000ULL / (unsigned int)hertz;
    unsigned long long micros = (unsigned long long)now.tv_sec * 1000000 + (unsigned long long)now.tv_nsec / 1000;
    unsigned long long last = micros / period;
    unsigned int found = 0;
    type = NVML_VALUE_TYPE_UNSIGNED_INT;
    for (unsigned long long n = last - KEPT + 1; n <= last; n++) {
        if (n * period <= since || kind > NVML_MEMORY_UTILIZATION_SAMPLES)
            continue;
        buffer[found].timeStamp = n * period;
        double share = 60 + (double)((n * 37 + (unsigned int)device * 11) % 40);
        set_value(&buffer[found++].sampleValue, kind == NVML_TOTAL_POWER_SAMPLES ? share * 4000 : share);
    }
    return found;
}

static unsigned int read_samples(int wanted, nvmlSamplingType_t kind, unsigned long long since)
{
    char path[4096], line[256];
    const char *control = getenv("SIMULATED_NVML");
    unsigned int found = 0;
    type = NVML_VALUE_TYPE_UNSIGNED_INT;
    snprintf(path, sizeof path, "%s.samples", control ? control : "");
    FILE *file = fopen(path, "r");
    if (!file && control_now()->sampling > 0)
        return sampled(wanted, kind, control_now()->sampling, since);
    if (!file)
        return 0;
    while (found < MAX_SAMPLES && fgets(line, sizeof line, file)) {
        int device, of_kind, told = NVML_VALUE_TYPE_UNSIGNED_INT;
        unsigned long long stamp;
        double number;
        if (sscanf(line, "%d %d %llu %lf %d", &device, &of_kind, &stamp, &number, &told) < 4 ||
            device != wanted || of_kind != (int)kind || stamp <= since)
            continue;
        type = (nvmlValueType_t)told;
        buffer[found].timeStamp = stamp;
        set_value(&buffer[found++].sampleValue, number);
    }
    fclose(file);
    return found;
}

nvmlReturn_t nvmlDeviceGetSamples(nvmlDevice_t device, nvmlSamplingType_t kind,
                                  unsigned long long since, nvmlValueType_t *value_type,
                                  unsigned int *count, nvmlSample_t *samples)
{
    int index = index_of(device);
    ENTER_CHOICE("nvmlDeviceGetSamples", (long)kind, index)
    if (kind >= NVML_SAMPLINGTYPE_COUNT)
        return NVML_ERROR_INVALID_ARGUMENT;
    unsigned int found = read_samples(index, kind, since);
    if (!found)
        return NVML_ERROR_NOT_FOUND;
    *value_type = type;
    if (samples) {
        found = found < *count ? found : *count;
        memcpy(samples, buffer, found * sizeof *samples);
    }
    *count = found;
    return NVML_SUCCESS;
}
