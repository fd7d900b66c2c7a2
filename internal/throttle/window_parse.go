package throttle

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
	_ "time/tzdata" // a window means the same in an image that has no time zones
)

// ParseWindow parses days, hours and a time zone:
//
//	Mon-Fri 22:00-06:00 Europe/Berlin
//	Sat,Sun UTC
//	01:30-05:00 America/New_York
//
// Days are names or their first three letters, in any case, as a range or a
// list of both; a range may cross the end of the week. Without days it is all
// of them. A window that ends at or before the hour at which it begins ends on
// the next day, and belongs to the day on which it begins. Without hours it is
// the whole day; 24:00 is a day's end. The zone is a name of the IANA database
// and defaults to UTC.
func ParseWindow(text string) (Window, error) {
	w, err := parseWindow(strings.Fields(text))
	if err != nil {
		return Window{}, fmt.Errorf("time window %q: %w; write it as in %q", text, err, "Mon-Fri 22:00-06:00 Europe/Berlin")
	}
	return w, nil
}

func parseWindow(words []string) (Window, error) {
	w := Window{days: [7]bool{true, true, true, true, true, true, true}, to: minutesPerDay, zone: "UTC", location: time.UTC}
	if len(words) == 0 {
		return w, errors.New("is empty")
	}
	given := 0
	if days, err := parseDays(words[0]); err == nil {
		w.days, given = days, given+1
	} else if looksLikeDays(words[0]) {
		return w, err
	}
	if given < len(words) && looksLikeHours(words[given]) {
		if err := w.parseHours(words[given]); err != nil {
			return w, err
		}
		given++
	}
	if given == 0 {
		return w, fmt.Errorf("%q is neither days nor hours", words[0])
	}
	switch len(words) - given {
	case 0:
		return w, nil
	case 1:
		return w, w.parseZone(words[given])
	default:
		return w, fmt.Errorf("there is something after the time zone %q", words[given])
	}
}

// looksLikeDays tells a mistaken day from a zone: it begins with a day.
func looksLikeDays(word string) bool {
	first, _, _ := strings.Cut(word, "-")
	first, _, _ = strings.Cut(first, ",")
	_, err := parseDay(first)
	return err == nil
}

func looksLikeHours(word string) bool { return word[0] >= '0' && word[0] <= '9' }

func parseDays(word string) (days [7]bool, err error) {
	for part := range strings.SplitSeq(word, ",") {
		from, to, isRange := strings.Cut(part, "-")
		first, err := parseDay(from)
		if err != nil {
			return days, err
		}
		last := first
		if isRange {
			if last, err = parseDay(to); err != nil {
				return days, err
			}
		}
		for day := first; ; day = (day + 1) % 7 {
			days[day] = true
			if day == last {
				break
			}
		}
	}
	return days, nil
}

func parseDay(word string) (time.Weekday, error) {
	for _, day := range weekdays() {
		if strings.EqualFold(word, day.String()) || strings.EqualFold(word, short(day)) {
			return day, nil
		}
	}
	return 0, fmt.Errorf("%q is not a day of the week such as Mon", word)
}

func (w *Window) parseHours(word string) error {
	from, to, ok := strings.Cut(word, "-")
	if !ok {
		return fmt.Errorf("%q is not a span of hours such as 22:00-06:00", word)
	}
	var err error
	if w.from, err = parseHour(from); err != nil {
		return err
	}
	if w.to, err = parseHour(to); err != nil {
		return err
	}
	switch {
	case w.from == minutesPerDay:
		return errors.New("24:00 is the end of a day, and begins none: write 00:00")
	case w.from == w.to:
		return fmt.Errorf("%s begins and ends at the same time: the whole day is 00:00-24:00", word)
	case w.to == 0:
		w.to = minutesPerDay // the same moment, said as an end
	}
	return nil
}

// parseHour parses 0:00 to 24:00 to minutes.
func parseHour(word string) (int, error) {
	hour, minute, ok := strings.Cut(word, ":")
	h, errHour := strconv.ParseUint(hour, 10, 8)
	m, errMinute := strconv.ParseUint(minute, 10, 8)
	if !ok || errHour != nil || errMinute != nil || len(hour) > 2 || len(minute) != 2 || m > 59 || h*60+m > minutesPerDay {
		return 0, fmt.Errorf("%q is not a time of the day such as 06:30", word)
	}
	return int(h*60 + m), nil
}

func (w *Window) parseZone(word string) error {
	if word == "Local" {
		return errors.New("a window has to mean the same on every machine: name the time zone")
	}
	location, err := time.LoadLocation(word)
	if err != nil {
		return fmt.Errorf("%q is not a time zone such as Europe/Berlin", word)
	}
	w.location, w.zone = location, word
	return nil
}
