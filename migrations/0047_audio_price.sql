-- US dollars per token of audio, in the prompt and in the answer. Where there is none, audio costs what text costs.
alter table price_version
    add column audio numeric(24, 12) check (audio between 0 and 100),
    add column audio_output numeric(24, 12) check (audio_output between 0 and 100);
